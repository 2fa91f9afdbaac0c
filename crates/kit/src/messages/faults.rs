/// English as the sources say it, Russian; `{}` stands for a number or a list. Exact ones first.
pub(super) const TABLE: &[(&str, &str)] = &[
    ("must not be empty", "нужно заполнить"),
    ("must be one line", "должно быть в одну строку"),
    (
        "must not contain control characters",
        "не должно содержать управляющих символов",
    ),
    ("must be a UUID", "должен быть UUID"),
    ("must not be negative", "не может быть отрицательным"),
    ("is not known", "не известно"),
    ("is used already", "уже занято"),
    // time
    ("must be an instant", "должен быть момент времени"),
    ("must not be in the future", "не может быть в будущем"),
    ("must not be in the past", "не может быть в прошлом"),
    ("must not be after its end", "не может быть позже конца"),
    (
        "must be a date with time and offset as in 2026-03-12T10:00:00+03:00",
        "должны быть дата, время и часовой пояс, как в 2026-03-12T10:00:00+03:00",
    ),
    (
        "must be a date (2026-03-02), a date and time, or an RFC 3339 instant",
        "должна быть дата (2026-03-02), дата и время или момент по RFC 3339",
    ),
    (
        "must be a date as in 2026-03-12",
        "должна быть дата, как 2026-03-12",
    ),
    (
        "must be a date such as 2026-03-02",
        "должна быть дата, как 2026-03-02",
    ),
    (
        "must be a date or an RFC 3339 instant",
        "должна быть дата или момент по RFC 3339",
    ),
    (
        "must be a date and time, or RFC 3339",
        "должны быть дата и время или момент по RFC 3339",
    ),
    (
        "must be a date, a date and time, or RFC 3339",
        "должна быть дата, дата и время или момент по RFC 3339",
    ),
    (
        "must be a whole number of seconds",
        "должно быть целое число секунд",
    ),
    (
        "must not be longer than a day",
        "не может быть дольше суток",
    ),
    // companies and persons
    ("is not a telephone number", "не телефонный номер"),
    ("is not an e-mail address", "не адрес e-mail"),
    ("a phone or an e-mail is needed", "нужен телефон или e-mail"),
    (
        "must hold a phone, or emails an e-mail",
        "нужен телефон, или e-mail в emails",
    ),
    (
        "must be three capital letters as in ISO 4217",
        "должны быть три прописные буквы по ISO 4217",
    ),
    (
        "must be a decimal with at most two digits after the point",
        "должно быть число, после запятой не больше двух цифр",
    ),
    (
        "must be prospect or client",
        "должно быть prospect или client",
    ),
    (
        "cannot be asked for together with an owner",
        "нельзя спросить вместе с ответственным",
    ),
    ("is used for another account", "уже занято другой компанией"),
    (
        "is not a person of this account",
        "не контактное лицо этой компании",
    ),
    // staff
    ("is not a group", "такой группы нет"),
    ("is not a member of staff", "такого сотрудника нет"),
    ("needs a group", "нужна группа"),
    (
        "is another one than the head that the group has",
        "у группы другой руководитель",
    ),
    (
        "must be administrator, head, manager, operator or analyst",
        "должно быть administrator, head, manager, operator или analyst",
    ),
    (
        "must be an active administrator, head or manager",
        "должен быть работающий администратор, руководитель или менеджер",
    ),
    (
        "must be an active member of staff",
        "должен быть работающий сотрудник",
    ),
    (
        "must be somebody who works here",
        "должен быть работающий сотрудник",
    ),
    (
        "must be somebody whose accounts the importer sees",
        "должен быть тот, чьи компании видит импортирующий",
    ),
    (
        "is nobody whose contacts the caller may bring",
        "контакты этого сотрудника вы не можете импортировать",
    ),
    (
        "must be persons whom the texts are about",
        "должны быть лица, о которых эти тексты",
    ),
    (
        "must be another one than from_owner_id",
        "должен отличаться от from_owner_id",
    ),
    (
        "must be there when there is a password",
        "нужен, когда задан пароль",
    ),
    // tasks
    (
        "may not plan for this member of staff",
        "этому сотруднику вы не можете ставить задания",
    ),
    ("is not a task of this account", "не задание этой компании"),
    ("must say what to do", "нужно сказать, что сделать"),
    ("must say why", "нужно назвать причину"),
    (
        "must not be before the task was created",
        "не может быть раньше создания задания",
    ),
    // views
    (
        "must be 1: the view needs the order of its log",
        "должно быть 1: этому представлению нужен порядок его журнала",
    ),
    (
        "must be that of a parked event",
        "должно быть как у отложенного события",
    ),
    // the rest
    ("is not a token of this list", "не продолжение этого списка"),
    ("is not the name of a service", "такого сервиса нет"),
    ("the message is not readable", "сообщение не читается"),
    (
        "must be one of the contract's values",
        "должно быть одно из значений контракта",
    ),
    // with a number or a list
    ("must be one of {}", "должно быть одно из: {}"),
    ("must be from 1 to {}", "должно быть от 1 до {}"),
    ("must be at most {}", "не больше {}"),
    ("must have at most {} characters", "не больше {} знаков"),
    ("must have at least {} characters", "не меньше {} знаков"),
    ("must have at most {} entries", "не больше {} записей"),
];
