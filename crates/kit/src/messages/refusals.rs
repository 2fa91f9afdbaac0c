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
        "ACCOUNT_MERGED",
        "Компания объединена с другой.",
        "The company was merged with another one.",
    ),
    (
        "ACCOUNT_NOT_MERGED",
        "Эта запись ни с чем не объединена.",
        "This record is merged with none.",
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
        "CATALOGUE_INVALID",
        "Так это опубликовать нельзя: проверьте поля.",
        "This cannot be published: check the fields.",
    ),
    (
        "CLAIMED",
        "С этой компанией сейчас работает другой сотрудник.",
        "Somebody else works with this company at the moment.",
    ),
    (
        "CLAIM_OVER",
        "Время закрепления вышло: закрепите компанию снова.",
        "The time of the claim is over: claim the company again.",
    ),
    (
        "CLIENT_INTO_PROSPECT",
        "Клиента нельзя присоединить к потенциальному клиенту: объедините наоборот.",
        "A client cannot be merged into a prospect: merge them the other way round.",
    ),
    (
        "DEAL_CLOSED",
        "Сделка уже завершена.",
        "The deal is won or lost already.",
    ),
    (
        "DEAL_EXISTS",
        "Такая сделка уже есть.",
        "This deal is there already.",
    ),
    (
        "DEAL_INVALID",
        "Сделка заполнена неверно.",
        "The deal is not filled in properly.",
    ),
    (
        "DEAL_UNKNOWN",
        "Такой сделки нет.",
        "There is no such deal.",
    ),
    (
        "DISTRIBUTION_EXISTS",
        "Такое распределение уже есть.",
        "This distribution is there already.",
    ),
    (
        "ENTRY_UNKNOWN",
        "Такой записи в справочнике нет.",
        "There is no such entry in the catalogue.",
    ),
    (
        "FIELD_KIND_FIXED",
        "Вид поля не меняется: заведите другое поле.",
        "A field never changes its kind: publish another one.",
    ),
    (
        "FIELD_UNKNOWN",
        "Такого поля в справочнике нет.",
        "There is no such field in the catalogue.",
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
        "HAS_ENOUGH",
        "У этого сотрудника уже достаточно компаний.",
        "This person has enough companies already.",
    ),
    (
        "LIST_BY_CRITERIA",
        "В этот список компании попадают по условиям.",
        "Companies are on this list by criteria.",
    ),
    (
        "LIST_BY_MEMBERS",
        "В этот список компании заносят по одной.",
        "Companies are put on this list one by one.",
    ),
    ("LIST_CLOSED", "Список закрыт.", "The list is closed."),
    (
        "LIST_EXISTS",
        "Такой список уже есть.",
        "This list is there already.",
    ),
    (
        "LIST_TAKEN",
        "Список с таким названием уже есть.",
        "There is a list of this name already.",
    ),
    (
        "LIST_UNKNOWN",
        "Такого списка нет.",
        "There is no such list.",
    ),
    (
        "LOGIN_TAKEN",
        "Такой логин уже занят.",
        "This login is taken.",
    ),
    (
        "MERGED_WITH_ITSELF",
        "Запись нельзя объединить с самой собой.",
        "A record cannot be merged with itself.",
    ),
    (
        "NOT_A_SELLER",
        "Этому сотруднику компании не дают.",
        "This person is given no companies.",
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
        "PHONE_CLAIMED",
        "По этому телефону сейчас звонит другой сотрудник: он есть и в другой карточке.",
        "Somebody else calls this phone at the moment: it is on another card, too.",
    ),
    (
        "PIPELINE_INVALID",
        "Так воронку опубликовать нельзя: проверьте поля.",
        "The pipeline cannot be published like this: check the fields.",
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
        "STAGE_GATE_CLOSED",
        "Для перехода на этот этап заполните указанные поля сделки.",
        "Fill in these fields of the deal to enter this stage.",
    ),
    (
        "STAFF_UNKNOWN",
        "Такого сотрудника нет.",
        "There is no such member of staff.",
    ),
    (
        "TOO_MANY_REQUIRED_FIELDS",
        "Больше семи обязательных полей: укажите причину.",
        "More than seven required fields need a reason.",
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
