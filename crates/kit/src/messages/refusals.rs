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
        "WORKBOOKS_BUSY",
        "Сейчас готовится слишком много файлов Excel. Повторите через минуту или выгрузите CSV.",
        "Too many Excel files are being made. Try again in a minute, or take CSV.",
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
        "EXPORT_TOO_LARGE",
        "Столько строк в книгу Excel не выгрузить: выберите CSV или сузьте отбор.",
        "So many rows do not go into a workbook: choose CSV, or narrow the list.",
    ),
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
        "NO_RULE_FITS",
        "Ни одно правило не подходит этой компании.",
        "No rule fits this company.",
    ),
    (
        "PLANNED_FOR_ANOTHER",
        "В этом же плане компания достаётся другому сотруднику.",
        "In the same plan the company goes to somebody else.",
    ),
    (
        "RECEIVER_CANNOT_OWN",
        "Тот, кому передавали компанию, уже не может за неё отвечать.",
        "Whom the company was handed to can own companies no more.",
    ),
    (
        "OWNED_BY_RECEIVER",
        "Компания уже у нового владельца.",
        "The company belongs to the new owner already.",
    ),
    (
        "TRANSFER_EXISTS",
        "Такая передача уже есть.",
        "This hand-over is there already.",
    ),
    (
        "TRANSFER_UNKNOWN",
        "Такой передачи нет.",
        "There is no such hand-over.",
    ),
    (
        "TRANSFER_UNFINISHED",
        "Передача ещё не закончена.",
        "The hand-over is not finished yet.",
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
        "GROUP_CIRCLE",
        "Группа не может стоять ниже самой себя.",
        "A group cannot stand below itself.",
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
        "VIEW_EXISTS",
        "Такая подборка уже есть.",
        "This view is there already.",
    ),
    (
        "VIEW_OF_OTHERS",
        "Эта подборка чужая.",
        "This view is somebody else's.",
    ),
    (
        "VIEW_UNKNOWN",
        "Такой подборки нет.",
        "There is no such view.",
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
        "DOCUMENT_DAMAGED",
        "Файл документа повреждён или пропал. Сообщите администратору.",
        "The file of this document is damaged or missing. Tell an administrator.",
    ),
    (
        "DOCUMENT_TOO_LARGE",
        "Файл слишком большой.",
        "The file is too large.",
    ),
    (
        "DOCUMENT_TYPE",
        "Файлы такого вида не принимаются.",
        "Files of this kind are not taken.",
    ),
    (
        "ORDER_CANCELLED",
        "Заказ отменён: записать отгрузку или оплату нельзя.",
        "The order is cancelled: nothing can be shipped or paid.",
    ),
    (
        "SHIPMENT_EXISTS",
        "Отгрузка с этим внешним номером уже записана: с другими данными или отменена. Нужен новый номер.",
        "A shipment with this external id is recorded: otherwise, or reversed. Use another id.",
    ),
    (
        "SHIPMENT_TAKEN",
        "Отгрузка с этим внешним номером уже записана за другим заказом.",
        "A shipment with this external id is recorded for another order.",
    ),
    (
        "SHIPMENT_UNKNOWN",
        "Такой отгрузки у заказа нет.",
        "The order has no such shipment.",
    ),
    (
        "PAYMENT_EXISTS",
        "Оплата с этим внешним номером уже записана: с другими данными или отменена. Нужен новый номер.",
        "A payment with this external id is recorded: otherwise, or reversed. Use another id.",
    ),
    (
        "PAYMENT_TAKEN",
        "Оплата с этим внешним номером уже записана за другим заказом.",
        "A payment with this external id is recorded for another order.",
    ),
    (
        "PAYMENT_UNKNOWN",
        "Такой оплаты у заказа нет.",
        "The order has no such payment.",
    ),
    (
        "OTHER_CURRENCY",
        "Заказ в другой валюте.",
        "The order is in another currency.",
    ),
    (
        "OVERPAID",
        "Сумма больше, чем осталось оплатить.",
        "This is more than what is left to pay.",
    ),
    (
        "OVERSHIPPED",
        "Сумма больше, чем осталось отгрузить.",
        "This is more than what is left to ship.",
    ),
    (
        "ORDER_EXISTS",
        "Заказ с этим внешним номером уже записан: с другой суммой или датой, либо отменён. Нужен новый номер.",
        "An order with this external id is recorded: with another amount or date, or cancelled. Use another id.",
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
        "DUPLICATE",
        "Компания с таким телефоном или адресом уже есть. Проверьте, не она ли это.",
        "A company with such a phone or address is there already. See whether it is this one.",
    ),
    (
        "PHONE_CLAIMED",
        "По этому телефону сейчас звонит другой сотрудник: он есть и в другой карточке.",
        "Somebody else calls this phone at the moment: it is on another card, too.",
    ),
    (
        "PHONE_OWNED",
        "Этот телефон есть в карточке, которую уже ведёт другой сотрудник.",
        "This phone is on a card that somebody else works with.",
    ),
    (
        "TOO_MANY_PERSONS",
        "Так зовут слишком многих: уточните имя.",
        "Too many persons are called so: type more of the name.",
    ),
    (
        "PIPELINE_INVALID",
        "Так воронку опубликовать нельзя: проверьте поля.",
        "The pipeline cannot be published like this: check the fields.",
    ),
    (
        "POLICY_INVALID",
        "Правила заданы неверно.",
        "The rules are not set properly.",
    ),
    (
        "STAFF_DISMISSED",
        "Сотрудник уволен.",
        "This person works here no more.",
    ),
    (
        "STAFF_WORKS_HERE",
        "Сотрудник не уволен: принимать его снова не нужно.",
        "This person works here and need not be hired again.",
    ),
    (
        "STAFF_EXISTS",
        "Такой сотрудник уже есть.",
        "This member of staff is there already.",
    ),
    (
        "STAFF_AWAITS_ACCOUNTS",
        "Сотруднику ещё передают компании: дождитесь конца передачи.",
        "Companies are still being handed over to this person: wait until that is done.",
    ),
    (
        "STAFF_HAS_OPEN_TASKS",
        "Сначала передайте задания сотрудника.",
        "Hand over the tasks of this person first.",
    ),
    (
        "STAFF_AWAY",
        "Сотрудник отсутствует: новых компаний ему не выдают.",
        "This person is away and is given no new companies.",
    ),
    (
        "ABSENCE_INVALID",
        "Проверьте поля отсутствия: некоторые заполнены неверно.",
        "Check the fields of the absence: some are not filled in properly.",
    ),
    (
        "ABSENCE_OVERLAPS",
        "На это время отсутствие уже отмечено.",
        "This person is away at that time already.",
    ),
    (
        "ABSENCE_UNKNOWN",
        "Такого отсутствия нет.",
        "There is no such absence.",
    ),
    (
        "SUBSTITUTE_OUT_OF_REACH",
        "Замещение можно назначить только между теми, чьи компании вы видите.",
        "A substitute can be named only among those whose companies you see.",
    ),
    (
        "STAFF_OWNS_DEALS",
        "Сделки сотрудника ещё переходят к новому владельцу компаний.",
        "The deals of this person are still on their way to the new owner of the companies.",
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
        "Личные данные изменяет оператор: подайте запрос на ввод данных.",
        "Personal data is changed by the operator: file a request for data entry.",
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
        "DATA_ENTRY_DECLINED",
        "Оператор уже отклонил этот запрос.",
        "The operator has declined this request.",
    ),
    (
        "DATA_ENTRY_DONE",
        "Этот запрос уже выполнен.",
        "This request is done already.",
    ),
    (
        "DATA_ENTRY_INVALID",
        "Запрос на ввод данных заполнен неверно.",
        "The request for data entry is not filled in properly.",
    ),
    (
        "DATA_ENTRY_UNKNOWN",
        "Такого запроса на ввод данных нет.",
        "There is no such request for data entry.",
    ),
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
    (
        "WEBHOOK_NOT_FOUND",
        "Такого веб-хука нет.",
        "There is no such webhook.",
    ),
];
