//! Between the messages of the contract and the types of the domain.

use accounts_domain::{
    card::extras::{Link, Target},
    field::Value,
};
use api::{accounts as pb, common, rights};
use chrono::NaiveDate;
use kit::{AppError, Ctx, Service, Violations, timestamp};
use uuid::Uuid;
use vocabulary::{Role, parse_instant};

use crate::{
    orders::words,
    views::{
        companies::Company,
        orders::OrderRow,
        ownership::Span,
        people::{Group, Person},
    },
};

/// The longest names, numbers and reasons people write.
pub(crate) const MAX_ID: usize = 100;
pub(crate) const MAX_NAME: usize = 300;
pub(crate) const MAX_TEXT: usize = 1_000;

/// Lets the own read models take in everything that is recorded: what was answered a moment ago
/// counts in the next decision.
pub(crate) async fn caught_up(service: &Service) -> Result<(), AppError> {
    service.catch_up_with(service.name()).await
}

/// The role of a request; none of those that staff cannot have.
pub(crate) fn role(v: &mut Violations, field: &str, role: i32) -> Option<Role> {
    let role = match rights::Role::try_from(role) {
        Ok(rights::Role::Administrator) => Some(Role::Administrator),
        Ok(rights::Role::Head) => Some(Role::Head),
        Ok(rights::Role::Manager) => Some(Role::Manager),
        Ok(rights::Role::Operator) => Some(Role::Operator),
        Ok(rights::Role::Analyst) => Some(Role::Analyst),
        Ok(rights::Role::Unspecified | rights::Role::Gateway | rights::Role::Service) | Err(_) => {
            None
        }
    };
    if role.is_none() {
        v.add(
            field,
            "must be administrator, head, manager, operator or analyst",
        );
    }
    role
}

pub(crate) fn role_to_api(role: Role) -> rights::Role {
    match role {
        Role::Administrator => rights::Role::Administrator,
        Role::Head => rights::Role::Head,
        Role::Manager => rights::Role::Manager,
        Role::Operator => rights::Role::Operator,
        Role::Analyst => rights::Role::Analyst,
    }
}

/// A date of the company's calendar; empty is today.
pub(crate) fn date(v: &mut Violations, field: &str, text: &str, ctx: &Ctx) -> NaiveDate {
    let zone = ctx.zone();
    let today = ctx.now.with_timezone(&zone).date_naive();
    if text.trim().is_empty() {
        return today;
    }
    if let Some(instant) = parse_instant(text, &zone) {
        return instant.with_timezone(&zone).date_naive();
    }
    v.add(field, "must be a date such as 2026-03-02");
    today
}

/// Empty for none.
pub(crate) fn id_text(id: Option<Uuid>) -> String {
    id.map_or_else(String::new, |id| id.to_string())
}

pub(crate) fn staff_member(person: Person) -> pb::StaffMember {
    let role = person.role.parse().ok().map(role_to_api);
    pb::StaffMember {
        id: person.staff_id.to_string(),
        external_id: person.external_id,
        name: person.name,
        role: role.unwrap_or_default().into(),
        group_id: id_text(person.group_id),
        extension: person.extension.unwrap_or_default(),
        hired_on: person.hired_on.to_string(),
        dismissed: person.dismissed,
    }
}

pub(crate) fn group(group: Group) -> pb::Group {
    pb::Group {
        id: group.id.to_string(),
        name: group.name,
        parent_id: id_text(group.parent_id),
        head_id: id_text(group.head_id),
    }
}

pub(crate) fn account(company: Company, orders: Vec<OrderRow>) -> pb::Account {
    let lifecycle = if company.client {
        pb::Lifecycle::Client
    } else {
        pb::Lifecycle::Prospect
    };
    pb::Account {
        id: company.account_id.to_string(),
        external_id: company.external_id.clone().unwrap_or_default(),
        lifecycle: lifecycle.into(),
        owner_id: id_text(company.owner_id),
        registered_at: Some(timestamp(company.registered_at)),
        version: company.version,
        orders: orders.into_iter().map(words::order).collect(),
        erased: company.erased,
        status: company.status.clone().unwrap_or_default(),
        card: Some(card(company)),
        // What only one card is asked for.
        status_since: None,
        claim: None,
        merged_ids: Vec::new(),
        merged_cards: Vec::new(),
        origin: None,
    }
}

/// Without its links, which not everybody sees.
pub(crate) fn card(company: Company) -> pb::Card {
    let unknown = company.extras.unknown.iter();
    let unknown = unknown.map(|field| field.as_str().to_owned());
    pb::Card {
        unknown: unknown.collect(),
        name: company.name,
        r#type: company.kind,
        phones: company.phones,
        emails: company.emails,
        city: company.city,
        region: company.region,
        address: company.address,
        industry: company.industry,
        project: company.project,
        source: company.source,
        rubrics: company.extras.rubrics,
        links: Vec::new(),
        custom: company.extras.custom.into_iter().map(custom).collect(),
    }
}

pub(crate) fn link(link: Link) -> pb::Link {
    pb::Link {
        title: link.title,
        target: Some(match link.target {
            Target::Url(url) => pb::link::Target::Url(url),
            Target::AccountId(id) => pb::link::Target::AccountId(id.to_string()),
        }),
    }
}

pub(crate) fn custom((key, value): (String, Value<String>)) -> pb::CustomValue {
    use pb::custom_value::Value as Api;
    let value = match value {
        Value::Text(text) => Api::Text(text),
        Value::Number(number) => Api::Number(number.to_string()),
        Value::Date(date) => Api::Date(date.to_string()),
        Value::YesNo(yes) => Api::Yes(yes),
        Value::Choice(key) => Api::Choice(key),
        Value::Money(money) => Api::Money(common::Money {
            minor_units: money.minor_units,
            currency: money.currency,
        }),
        Value::Unknown => Api::Unknown(true),
        Value::Empty => Api::Empty(true),
    };
    pb::CustomValue {
        key,
        value: Some(value),
    }
}

pub(crate) fn ownership(span: &Span) -> pb::Ownership {
    pb::Ownership {
        owner_id: span.owner_id.to_string(),
        from: Some(timestamp(span.from_at)),
        to: span.to_at.map(timestamp),
    }
}
