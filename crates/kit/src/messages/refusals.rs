/// Reason, Russian, English; every reason that any service gives, and no other: a test looks.
pub(super) const TABLE: &[(&str, &str, &str)] = &[
    // every service
    (
        "INVALID_REQUEST",
        "Проверьте поля: некоторые заполнены неверно.",
        "Check the fields: some are not filled in properly.",
    ),
    (
        "INVALID",
        "Проверьте строку: некоторые поля заполнены неверно.",
        "Check the row: some fields are not filled in properly.",
    ),
    ("TAKEN", "Уже занято.", "This is taken already."),
    (
        "REQUEST_ID_REUSED",
        "Этот номер запроса уже использован для другого действия.",
        "This request number was used for something else.",
    ),
    (
        "STALE_VERSION",
        "Запись изменил кто-то другой. Обновите её и повторите.",
        "Somebody else has changed this. Reload it and try again.",
    ),
    ("NOT_FOUND", "Не найдено.", "Not found."),
    (
        "FORBIDDEN",
        "У вас нет права на это действие.",
        "You may not do this.",
    ),
    ("UNAUTHENTICATED", "Войдите снова.", "Log in again."),
    (
        "OVERLOADED",
        "Сервер перегружен. Повторите немного позже.",
        "The server is overloaded. Try again a little later.",
    ),
    (
        "MESSAGE_TOO_LARGE",
        "Запрос или ответ слишком велик.",
        "The request or the answer is too large.",
    ),
    (
        "SLOW_CLIENT",
        "Соединение закрыто: ответ слишком долго не читали.",
        "The connection was closed because its answer was not read for too long.",
    ),
    (
        "DEADLINE_EXCEEDED",
        "Сервер не успел ответить. Повторите.",
        "The server did not answer in time. Try again.",
    ),
    (
        "UNAVAILABLE",
        "Сервис временно недоступен. Повторите немного позже.",
        "The service is not available at the moment. Try again a little later.",
    ),
    (
        "UNIMPLEMENTED",
        "Такого действия здесь нет.",
        "There is no such action here.",
    ),
    (
        "INTERNAL",
        "Внутренняя ошибка. Сообщите её номер поддержке.",
        "Internal error. Tell support its number.",
    ),
    (
        "SUBJECT_ERASED",
        "Личные данные этого человека удалены: записать о нём больше ничего нельзя.",
        "The personal data of this person was erased: nothing more can be recorded of them.",
    ),
    (
        "STOP_LIST",
        "Этот номер или адрес внесён в стоп-лист: пользоваться им нельзя.",
        "This number or address is on the stop list: it must not be used.",
    ),
    (
        "VIEW_BEHIND",
        "Данные ещё обновляются. Повторите через секунду.",
        "The data is still being updated. Try again in a second.",
    ),
    // views
    (
        "REBUILD_UNDER_WAY",
        "С этим представлением уже что-то делают. Дождитесь конца или отмените.",
        "Something is being done with this view already. Wait for its end or cancel it.",
    ),
    (
        "NOTHING_KEPT",
        "Рядом с этим представлением ничего не хранится.",
        "Nothing is kept beside this view.",
    ),
    (
        "NOT_FIRST_PARKED",
        "Раньше в этом потоке отложено другое событие. Начните с него.",
        "An earlier event of this stream is parked. Begin with that one.",
    ),
    (
        "CLOCK_BACKWARDS",
        "Часы нельзя перевести назад.",
        "The clock cannot be set back.",
    ),
    (
        "CLOCK_NOT_CONTROLLED",
        "Часы идут сами: перевести их нельзя.",
        "The clock runs by itself and cannot be set.",
    ),
    // accounts
    (
        "ACCOUNT_ERASED",
        "Данные этой компании удалены.",
        "The data of this company was erased.",
    ),
    (
        "ACCOUNT_EXISTS",
        "Такая компания уже заведена.",
        "This company is there already.",
    ),
    (
        "ACCOUNT_INCOMPLETE",
        "У компании должны быть название и телефон или e-mail.",
        "A company needs a name and a phone or an e-mail.",
    ),
    (
        "ACCOUNT_IN_POOL",
        "Компания в общем списке: ответственного у неё нет.",
        "The company is in the pool: it has no owner.",
    ),
    (
        "ACCOUNT_UNKNOWN",
        "Такой компании нет.",
        "There is no such company.",
    ),
    (
        "ALREADY_OWNED",
        "У компании уже есть ответственный.",
        "The company has an owner already.",
    ),
    (
        "GROUP_EXISTS",
        "Группа с таким названием уже есть.",
        "There is a group of this name already.",
    ),
    (
        "GROUP_NAME_TAKEN",
        "Группа с таким названием уже есть.",
        "There is a group of this name already.",
    ),
    (
        "GROUP_UNKNOWN",
        "Такой группы нет.",
        "There is no such group.",
    ),
    (
        "LOGIN_TAKEN",
        "Такой логин уже занят.",
        "This login is taken.",
    ),
    (
        "ORDER_TAKEN",
        "Этот заказ уже записан за другой компанией.",
        "This order is recorded for another company.",
    ),
    (
        "ORDER_UNKNOWN",
        "Такого заказа нет.",
        "There is no such order.",
    ),
    (
        "OWNER_CHANGED",
        "У компании уже другой ответственный.",
        "The company has another owner by now.",
    ),
    (
        "OWNER_OUT_OF_REACH",
        "Вы не можете передавать компании этого сотрудника или этому сотруднику.",
        "You may not hand over companies of this member of staff or to them.",
    ),
    (
        "STAFF_DISMISSED",
        "Сотрудник уволен.",
        "This person works here no more.",
    ),
    (
        "STAFF_EXISTS",
        "Такой сотрудник уже есть.",
        "This member of staff is there already.",
    ),
    (
        "STAFF_HAS_OPEN_TASKS",
        "Сначала передайте задания сотрудника.",
        "Hand over the tasks of this person first.",
    ),
    (
        "STAFF_OWNS_ACCOUNTS",
        "Сначала передайте компании и задания сотрудника.",
        "Hand over the companies and tasks of this person first.",
    ),
    (
        "STAFF_UNKNOWN",
        "Такого сотрудника нет.",
        "There is no such member of staff.",
    ),
    // contacts
    (
        "ERASURE_NOT_REQUESTED",
        "Об удалении данных этого человека никто не просил.",
        "Nobody has asked for the erasure of this person.",
    ),
    (
        "EXTERNAL_ID_TAKEN",
        "Этот внешний номер уже занят.",
        "This external id is taken.",
    ),
    (
        "INTERACTION_ERASED",
        "Этого текста больше нет: данные человека, о котором он был, удалены.",
        "This text is gone: the data of somebody it was about was erased.",
    ),
    (
        "INTERACTION_EXISTS",
        "Этот контакт уже записан.",
        "This contact is recorded already.",
    ),
    (
        "INTERACTION_INVALID",
        "Контакт заполнен неверно.",
        "The contact is not filled in properly.",
    ),
    (
        "INTERACTION_UNKNOWN",
        "Такого контакта нет.",
        "There is no such contact.",
    ),
    (
        "PERSONAL_DATA_BY_OPERATOR",
        "Личные данные изменяет оператор.",
        "Personal data is changed by the operator.",
    ),
    (
        "PERSON_ERASED",
        "Личные данные этого человека удалены.",
        "The personal data of this person was erased.",
    ),
    (
        "PERSON_EXISTS",
        "Такое контактное лицо уже есть.",
        "This contact person is there already.",
    ),
    (
        "PERSON_NAMELESS",
        "У контактного лица должно быть имя.",
        "A contact person needs a name.",
    ),
    (
        "PERSON_UNKNOWN",
        "Такого контактного лица нет.",
        "There is no such contact person.",
    ),
    (
        "SECOND_PERSON_NEEDED",
        "Удаление подтверждает другой человек, не тот, кто его запросил.",
        "Somebody else than who asked for the erasure must confirm it.",
    ),
    (
        "TASK_CLOSED",
        "Задание уже закрыто.",
        "The task is closed already.",
    ),
    // planning
    (
        "MAY_NOT_PLAN_FOR",
        "Этому сотруднику вы не можете ставить задания.",
        "You may not plan for this member of staff.",
    ),
    (
        "TASK_CANCELLED",
        "Задание отменено.",
        "The task is cancelled.",
    ),
    (
        "TASK_COMPLETED",
        "Задание уже выполнено.",
        "The task is done already.",
    ),
    (
        "TASK_INVALID",
        "Заданию нужны исполнитель, срок, вид и комментарий.",
        "A task needs an assignee, a deadline, a type and a comment.",
    ),
    (
        "TASK_NOT_FOUND",
        "Такого задания нет.",
        "There is no such task.",
    ),
    // notifications
    (
        "REMINDER_NOT_DUE",
        "Время напоминания ещё не пришло.",
        "This reminder is not due yet.",
    ),
    (
        "REMINDER_NOT_FOUND",
        "Такого напоминания нет.",
        "There is no such reminder.",
    ),
    (
        "REMINDER_OVER",
        "Это напоминание уже неактуально.",
        "This reminder is over.",
    ),
];
