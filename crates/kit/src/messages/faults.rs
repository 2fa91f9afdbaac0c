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
    ("must be after its beginning", "должно быть позже начала"),
    (
        "must be within a year of its beginning",
        "должно быть не позже чем через год после начала",
    ),
    ("must be somebody else", "должен быть кто-то другой"),
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
    (
        "must be open, suspended, won or lost",
        "должно быть open, suspended, won или lost",
    ),
    // the catalogue and what it has a say in
    ("is for statuses only", "бывает только у статусов"),
    (
        "must be one of those in the catalogue",
        "такого в справочнике нет",
    ),
    (
        "must be status, source, rubric or document kind",
        "должно быть status, source, rubric или document kind",
    ),
    (
        "must be text, number, date, yes or no, choice or money",
        "должны быть текст, число, дата, да или нет, выбор или сумма",
    ),
    (
        "must be 1 to 40 small Latin letters, digits and _, beginning with a letter",
        "от 1 до 40 строчных латинских букв, цифр и _, первой буква",
    ),
    (
        "is a field that every card has",
        "это поле есть у каждой карточки",
    ),
    (
        "must be there for a choice, and for nothing else",
        "нужно для поля с выбором, и только для него",
    ),
    ("is there twice", "указано дважды"),
    (
        "has the name of another entry",
        "называется так же, как другая запись справочника",
    ),
    ("is too long", "слишком длинно"),
    ("must be a text", "должен быть текст"),
    (
        "must be a number such as 12.5",
        "должно быть число, как 12,5",
    ),
    ("must be yes or no", "должно быть да или нет"),
    (
        "must be one of the choices of the field",
        "такого среди вариантов поля нет",
    ),
    (
        "must be an amount such as 180000.00 RUB",
        "должна быть сумма, как 180000,00 RUB",
    ),
    (
        "must be given, if only as unknown",
        "нужно заполнить, хотя бы как неизвестное",
    ),
    ("must not be taken away", "нельзя оставить пустым"),
    ("must have a value", "нужно значение"),
    (
        "must be true or absent",
        "должно быть true или отсутствовать",
    ),
    (
        "is given a value at the same time",
        "одновременно заполнено",
    ),
    (
        "is no field of the catalogue",
        "такого поля в справочнике нет",
    ),
    (
        "is no field that lists can be filtered by",
        "по этому полю отбирать нельзя",
    ),
    (
        "must be the address of a page, with http or https",
        "должен быть адрес страницы с http или https",
    ),
    (
        "must be a page or an account",
        "должна быть страница или компания",
    ),
    ("is not an account", "такой компании нет"),
    // deals
    (
        "is no field of these deals",
        "у этих сделок нет такого поля",
    ),
    (
        "must not be before it was opened",
        "не может быть раньше открытия",
    ),
    ("must be in the future", "должно быть в будущем"),
    (
        "must be set to enter this stage",
        "нужно заполнить для этого этапа",
    ),
    (
        "is no stage of the pipeline in force",
        "в действующей воронке нет такого этапа",
    ),
    (
        "must not be empty when there is a lost_reason",
        "нужно заполнить, если указана lost_reason",
    ),
    (
        "must be the owner of the account while the deal is open",
        "пока сделка открыта, это ответственный за компанию",
    ),
    (
        "must have a reason to ask for more than {} fields",
        "больше {} обязательных полей: укажите причину",
    ),
    (
        "must be empty at the first stage",
        "на первом этапе документы не требуются",
    ),
    (
        "must be attached to enter this stage",
        "нужно приложить для этого этапа",
    ),
    // orders
    (
        "must be phone, import or other",
        "должно быть phone, import или other",
    ),
    (
        "must be the currency of the order",
        "должна быть валюта заказа",
    ),
    ("must not be zero", "не может быть нулём"),
    (
        "is recorded otherwise, or cancelled",
        "уже записан: с другой суммой или датой, либо отменён",
    ),
    (
        "is recorded otherwise, or reversed",
        "уже есть: с другими данными, либо запись отменена",
    ),
    (
        "is more than what is left to pay",
        "больше, чем осталось оплатить",
    ),
    (
        "is more than what is left to ship",
        "больше, чем осталось отгрузить",
    ),
    (
        "must be known, or quantity, or waybill",
        "нужна сумма, количество или накладная",
    ),
    ("must be paid or unpaid", "должно быть paid или unpaid"),
    ("is used for another order", "уже занято другим заказом"),
    // documents
    (
        "must be empty for a document of a deal",
        "для документа сделки не указывается",
    ),
    ("must be more than 0", "должно быть больше 0"),
    (
        "must be 64 hexadecimal digits",
        "должно быть 64 шестнадцатеричные цифры",
    ),
    ("must come first", "должен прийти первым"),
    ("must come once", "должен прийти один раз"),
    ("is not what came", "не совпадает с полученным"),
    (
        "is not that of what came",
        "не совпадает с суммой полученного",
    ),
    (
        "is not what the bytes are",
        "не соответствует содержимому файла",
    ),
    // prospects and duplicates
    ("is on another card already", "уже есть в другой карточке"),
    (
        "is the name of too many persons: type more of it",
        "так зовут слишком многих: нужно уточнить",
    ),
    (
        "must be empty where accounts of anybody are meant",
        "должно быть пусто, если имеются в виду компании всех",
    ),
    (
        "must be another one than survivor_id",
        "должен отличаться от survivor_id",
    ),
    (
        "must be given, or account_ids, and not both",
        "нужно указать либо список, либо account_ids",
    ),
    // staff
    ("is not a group", "такой группы нет"),
    ("is for administrators", "доступно администраторам"),
    (
        "must be a group that the caller leads",
        "должна быть группа, которой вы руководите",
    ),
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
    ("must see the account", "должен видеть эту компанию"),
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
    // webhooks
    (
        "must be an https address without a name, a password or a # in it",
        "должен быть адрес https без имени, пароля и #",
    ),
    (
        "must be a public address, not one of this machine or of a private network",
        "должен быть публичный адрес, а не этой машины и не внутренней сети",
    ),
    (
        "must be * or as account.* or account.order_registered",
        "должно быть *, или как account.*, или как account.order_registered",
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
    ("must be ru or en", "должно быть ru или en"),
    ("must be from 1 to {}", "должно быть от 1 до {}"),
    (
        "must be a number from 0 to {}",
        "должно быть число от 0 до {}",
    ),
    (
        "must be a number from 1 to {}",
        "должно быть число от 1 до {}",
    ),
    ("must have 1 to {} entries", "от 1 до {} записей"),
    ("must have at most {} accounts", "не больше {} компаний"),
    ("must say who gets what", "нужно сказать, кому что передать"),
    ("must be at most {} bytes", "не больше {} байт"),
    ("must have at most {} characters", "не больше {} знаков"),
    ("must have at least {} characters", "не меньше {} знаков"),
    ("must have at most {} entries", "не больше {} записей"),
];
