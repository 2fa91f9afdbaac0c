//! What an office begins with, until its administrator publishes something else.

use super::Entry;

/// The first one is that of a new account.
const STATUSES: [[&str; 3]; 8] = [
    ["new", "Новый", "New"],
    ["contacted", "Контакт установлен", "Contacted"],
    ["interested", "Заинтересован", "Interested"],
    ["negotiating", "Переговоры", "Negotiating"],
    ["postponed", "Отложен", "Postponed"],
    ["refused", "Отказ", "Refused"],
    ["unreachable", "Не дозвониться", "Unreachable"],
    ["inactive", "Не работаем", "Inactive"],
];

/// Nobody works with an account in these.
const CLOSED: [&str; 2] = ["refused", "inactive"];

const SOURCES: [[&str; 3]; 26] = [
    ["cold_call", "Холодный звонок", "Cold call"],
    ["inbound_call", "Входящий звонок", "Inbound call"],
    ["directory", "Справочник", "Phone directory"],
    ["web_form", "Заявка с сайта", "Web form"],
    ["web_chat", "Чат на сайте", "Web chat"],
    ["email", "Входящее письмо", "Inbound e-mail"],
    ["messenger", "Мессенджер", "Messenger"],
    ["social_network", "Социальная сеть", "Social network"],
    ["search_engine", "Поисковая система", "Search engine"],
    ["context_ad", "Контекстная реклама", "Search advertising"],
    ["banner_ad", "Медийная реклама", "Banner advertising"],
    ["press_ad", "Реклама в прессе", "Press advertising"],
    [
        "radio_tv_ad",
        "Реклама на радио и ТВ",
        "Radio or TV advertising",
    ],
    ["outdoor_ad", "Наружная реклама", "Outdoor advertising"],
    ["email_campaign", "Почтовая рассылка", "E-mail campaign"],
    ["sms_campaign", "СМС-рассылка", "SMS campaign"],
    ["exhibition", "Выставка", "Exhibition"],
    ["conference", "Конференция или семинар", "Conference"],
    ["recommendation", "Рекомендация клиента", "Recommendation"],
    ["partner", "Партнёр", "Partner"],
    ["tender", "Тендер", "Tender"],
    ["marketplace", "Торговая площадка", "Marketplace"],
    ["office_visit", "Визит в офис", "Office visit"],
    ["field_visit", "Выезд менеджера", "Field visit"],
    ["former_client", "Бывший клиент", "Former client"],
    ["other", "Другое", "Other"],
];

const DOCUMENT_KINDS: [[&str; 3]; 6] = [
    ["proposal", "Коммерческое предложение", "Proposal"],
    ["contract", "Договор", "Contract"],
    ["invoice", "Счёт", "Invoice"],
    ["act", "Акт или накладная", "Delivery note"],
    ["regulation", "Регламент", "Regulation"],
    ["other", "Другое", "Other"],
];

pub(super) fn statuses() -> Vec<Entry> {
    STATUSES
        .map(|status| Entry {
            closed: CLOSED.contains(&status[0]),
            ..entry(status)
        })
        .into()
}

pub(super) fn sources() -> Vec<Entry> {
    SOURCES.map(entry).into()
}

pub(super) fn document_kinds() -> Vec<Entry> {
    DOCUMENT_KINDS.map(entry).into()
}

fn entry([key, russian, english]: [&str; 3]) -> Entry {
    Entry {
        aliases: vec![english.to_owned()],
        ..Entry::new(key, russian)
    }
}
