//! What a person reads when something is refused, in Russian, by reason.
//!
//! The English text of a status is for developers; clients choose by reason, never by prose.

use tonic::Code;

/// By reason where there is something particular to say, by code otherwise.
pub(crate) fn russian(reason: &str, code: Code) -> &'static str {
    TABLE
        .iter()
        .find(|(known, _)| *known == reason)
        .map_or_else(|| by_code(code), |(_, text)| text)
}

const TABLE: &[(&str, &str)] = &[
    (
        "INVALID_REQUEST",
        "Проверьте поля: некоторые заполнены неверно.",
    ),
    (
        "REQUEST_ID_REUSED",
        "Этот номер запроса уже использован для другого действия.",
    ),
    (
        "STALE_VERSION",
        "Запись изменил кто-то другой. Обновите её и повторите.",
    ),
    ("NOT_FOUND", "Не найдено."),
    ("FORBIDDEN", "У вас нет права на это действие."),
    ("UNAUTHENTICATED", "Войдите снова."),
    ("OVERLOADED", "Сервер перегружен. Повторите немного позже."),
    ("MESSAGE_TOO_LARGE", "Запрос или ответ слишком велик."),
    ("DEADLINE_EXCEEDED", "Сервер не успел ответить. Повторите."),
    (
        "UNAVAILABLE",
        "Сервис временно недоступен. Повторите немного позже.",
    ),
    ("UNIMPLEMENTED", "Такого действия здесь нет."),
    (
        "INTERNAL",
        "Внутренняя ошибка. Сообщите её номер поддержке.",
    ),
    (
        "SUBJECT_ERASED",
        "Личные данные этого человека удалены: записать о нём больше ничего нельзя.",
    ),
    (
        "VIEW_BEHIND",
        "Данные ещё обновляются. Повторите через секунду.",
    ),
    // rules of the services
    ("ACCOUNT_EXISTS", "Такая компания уже заведена."),
    (
        "ACCOUNT_IN_POOL",
        "Компания в общем списке: ответственного у неё нет.",
    ),
    ("ALREADY_OWNED", "У компании уже есть ответственный."),
    ("CLOCK_BACKWARDS", "Часы нельзя перевести назад."),
    (
        "CLOCK_NOT_CONTROLLED",
        "Часы идут сами: перевести их нельзя.",
    ),
    ("DEAL_CLOSED", "Сделка уже завершена."),
    ("DEAL_EXISTS", "Такая сделка уже есть."),
    ("EXTERNAL_ID_TAKEN", "Этот внешний номер уже занят."),
    ("GROUP_EXISTS", "Такая группа уже есть."),
    ("GROUP_NAME_TAKEN", "Группа с таким названием уже есть."),
    ("INTERACTION_EXISTS", "Этот контакт уже записан."),
    ("LOGIN_TAKEN", "Такой логин уже занят."),
    (
        "MAY_NOT_PLAN_FOR",
        "Этому сотруднику вы не можете ставить задания.",
    ),
    ("ORDER_TAKEN", "Этот заказ уже записан за другой компанией."),
    ("OWNER_CHANGED", "У компании уже другой ответственный."),
    (
        "OWNER_OUT_OF_REACH",
        "Этому сотруднику вы не можете передать компанию.",
    ),
    ("PERSON_ERASED", "Личные данные этого человека удалены."),
    ("PERSON_EXISTS", "Такое контактное лицо уже есть."),
    ("REMINDER_NOT_DUE", "Время напоминания ещё не пришло."),
    ("REMINDER_OVER", "Это напоминание уже неактуально."),
    ("STAFF_DISMISSED", "Сотрудник уволен."),
    ("STAFF_EXISTS", "Такой сотрудник уже есть."),
    (
        "STAGE_GATE_CLOSED",
        "Для перехода на этот этап заполните указанные поля сделки.",
    ),
    (
        "STAFF_OWNS_ACCOUNTS",
        "Сначала передайте компании и задания сотрудника.",
    ),
    ("TASK_CANCELLED", "Задание отменено."),
    ("TASK_CLOSED", "Задание уже закрыто."),
    ("TASK_COMPLETED", "Задание уже выполнено."),
    (
        "TOO_MANY_REQUIRED_FIELDS",
        "Больше семи обязательных полей на этапе — только с указанием причины.",
    ),
];

fn by_code(code: Code) -> &'static str {
    match code {
        Code::InvalidArgument => "Проверьте поля: некоторые заполнены неверно.",
        Code::NotFound => "Не найдено.",
        Code::AlreadyExists => "Такая запись уже есть.",
        Code::PermissionDenied => "У вас нет права на это действие.",
        Code::FailedPrecondition => "Это действие сейчас невозможно.",
        Code::Aborted => "Запись изменил кто-то другой. Обновите её и повторите.",
        Code::Unavailable | Code::ResourceExhausted => {
            "Сервис временно недоступен. Повторите немного позже."
        }
        _ => "Не получилось. Повторите или обратитесь в поддержку.",
    }
}
