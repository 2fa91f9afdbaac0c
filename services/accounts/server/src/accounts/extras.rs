//! What the catalogue has a say in, as requests bring it.

use std::collections::{BTreeMap, BTreeSet};

use accounts_domain::{
    card::{
        Card, Changes,
        extras::{ExtraChanges, Extras, Link, Standard, Target},
    },
    catalogue::List,
    field::{Decimal, Field, Kind, Value},
};
use api::accounts::{
    self as pb, ChangeAccountDetailsRequest, ListAccountsRequest, custom_value, link,
};
use chrono::NaiveDate;
use kit::{AppError, Ctx, Service, Violations};
use vocabulary::{AccountId, Money, is_of_our_time};

use crate::{
    catalogue::Known,
    views::companies::{self, Wanted},
    wire::{self, MAX_NAME},
};

const MOST: usize = 50;
const MAX_URL: usize = 2_000;

/// The key of a source; empty stays empty.
pub(crate) fn source(v: &mut Violations, known: &Known, text: &str) -> String {
    chosen(v, known, List::Source, "source", text).unwrap_or_default()
}

/// The key of what is called so; `None` when nothing was said or nothing is called so.
pub(crate) fn chosen(
    v: &mut Violations,
    known: &Known,
    list: List,
    field: &str,
    text: &str,
) -> Option<String> {
    if text.trim().is_empty() {
        return None;
    }
    let entry = known.state.choose(list, text);
    if entry.is_none() {
        v.add(field, "must be one of those in the catalogue");
    }
    entry.map(|entry| entry.key.clone())
}

/// The key of what was ever called so, for a filter; empty when nothing was said.
pub(crate) fn known(
    v: &mut Violations,
    known: &Known,
    list: List,
    field: &str,
    text: &str,
) -> String {
    if text.trim().is_empty() {
        return String::new();
    }
    let entry = known.state.find(list, text).map(|entry| entry.key.clone());
    if entry.is_none() {
        v.add(field, "must be one of those in the catalogue");
    }
    entry.unwrap_or_default()
}

/// What a list is filtered by.
pub(super) fn wanted(v: &mut Violations, known: &Known, req: &ListAccountsRequest) -> Wanted {
    let rubrics = at_most(v, "rubrics", &req.rubrics).iter().enumerate();
    let rubrics = rubrics.map(|(index, text)| {
        let field = format!("rubrics[{index}]");
        self::known(v, known, List::Rubric, &field, text)
    });
    let rubrics = rubrics.filter(|key| !key.is_empty()).collect();
    let custom = custom(v, known, &req.custom);
    for key in custom.keys() {
        if !known.state.field(key).is_some_and(|field| field.searchable) {
            let fault = "is no field that lists can be filtered by";
            v.add(format!("custom.{key}"), fault);
        }
    }
    Wanted { rubrics, custom }
}

/// All of them, or none where there are too many.
fn at_most<'a, T>(v: &mut Violations, field: &str, given: &'a [T]) -> &'a [T] {
    if given.len() > MOST {
        v.add(field, format!("must have at most {MOST} entries"));
        return &[];
    }
    given
}

/// All of a new card. What is required and not there is a fault.
pub(super) fn of_card(v: &mut Violations, known: &Known, card: &pb::Card, new: &Card) -> Extras {
    let extras = Extras {
        rubrics: rubrics(v, known, &card.rubrics),
        links: links(v, &card.links),
        custom: custom(v, known, &card.custom),
        unknown: unknown(v, &card.unknown, |field| !is_empty(new, field)),
        catalogue_version: known.version,
    };
    for key in lacking(known, &extras.custom) {
        // What is there and cannot be read has its fault already.
        if !card.custom.iter().any(|given| given.key.trim() == key) {
            v.add(format!("custom.{key}"), "must be given, if only as unknown");
        }
    }
    extras
}

/// The required fields that have no value and are not unknown either.
pub(crate) fn lacking<'a>(
    known: &'a Known,
    custom: &'a BTreeMap<String, Value<String>>,
) -> impl Iterator<Item = &'a str> {
    let required = known.state.fields().filter(|field| field.required);
    required
        .map(|field| field.key.as_str())
        .filter(|key| custom.get(*key).is_none_or(|value| *value == Value::Empty))
}

/// All of a new card out of a file, where texts are cells and faults are those of columns. A file
/// need not know what an office requires: that is unknown then.
pub(crate) fn of_row(v: &mut Violations, known: &Known, card: &pb::Card, new: &Card) -> Extras {
    let mut custom = custom_by(v, known, &card.custom, "", cell);
    let lacking: Vec<_> = lacking(known, &custom).map(str::to_owned).collect();
    custom.extend(lacking.into_iter().map(|key| (key, Value::Unknown)));
    Extras {
        rubrics: rubrics_by(v, known, &card.rubrics, |_| "rubrics".to_owned()),
        links: links(v, &card.links),
        custom,
        unknown: unknown(v, &card.unknown, |field| !is_empty(new, field)),
        catalogue_version: known.version,
    }
}

/// The new values of a correction.
pub(super) fn of_changes(
    v: &mut Violations,
    known: &Known,
    req: &ChangeAccountDetailsRequest,
    changes: &Changes,
) -> ExtraChanges {
    let rubrics = req.rubrics.as_ref();
    let rubrics = rubrics.map(|list| self::rubrics(v, known, &list.rubrics));
    let links = req.links.as_ref().map(|list| self::links(v, &list.links));
    let custom = custom(v, known, &req.custom);
    for (key, value) in &custom {
        let required = known.state.field(key).is_some_and(|field| field.required);
        if required && *value == Value::Empty {
            v.add(format!("custom.{key}"), "must not be taken away");
        }
    }
    ExtraChanges {
        rubrics,
        links,
        custom,
        unknown: unknown(v, &req.unknown, |field| is_given(changes, field)),
        catalogue_version: known.version,
    }
}

fn rubrics(v: &mut Violations, known: &Known, texts: &[String]) -> Vec<String> {
    rubrics_by(v, known, texts, |index| format!("rubrics[{index}]"))
}

/// `named`: how a fault of one of them is called.
fn rubrics_by(
    v: &mut Violations,
    known: &Known,
    texts: &[String],
    named: impl Fn(usize) -> String,
) -> Vec<String> {
    let mut keys = Vec::new();
    for (index, text) in at_most(v, "rubrics", texts).iter().enumerate() {
        let key = chosen(v, known, List::Rubric, &named(index), text);
        keys.extend(key.filter(|key| !keys.contains(key)));
    }
    keys
}

fn links(v: &mut Violations, links: &[pb::Link]) -> Vec<Link> {
    let links = at_most(v, "links", links)
        .iter()
        .enumerate()
        .filter_map(|(index, link)| {
            v.within(&format!("links[{index}]"), |v| {
                let title = v.required_line("title", &link.title, MAX_NAME);
                let target = match &link.target {
                    Some(link::Target::Url(url)) => {
                        if !is_url(url) {
                            v.add("url", "must be the address of a page, with http or https");
                        }
                        Target::Url(v.line("url", url, MAX_URL))
                    }
                    Some(link::Target::AccountId(id)) => Target::AccountId(v.id("account_id", id)?),
                    None => {
                        v.add("target", "must be a page or an account");
                        return None;
                    }
                };
                Some(Link { title, target })
            })
        });
    links.collect()
}

/// What a browser opens as a page and nothing else.
fn is_url(text: &str) -> bool {
    let text = text.trim();
    let host = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    host.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "<>\"".contains(c))
}

/// Nobody may learn by a link that there is an account.
pub(crate) async fn check_linked(
    service: &Service,
    ctx: &Ctx,
    v: &mut Violations,
    prefix: &str,
    links: &[Link],
) -> Result<(), AppError> {
    let linked = links.iter().filter_map(Link::account);
    let visible = visible(service, ctx, linked.collect()).await?;
    for (index, link) in links.iter().enumerate() {
        if link.account().is_some_and(|id| !visible.contains(&id)) {
            let field = format!("{prefix}links[{index}].account_id");
            v.add(field, "is not an account");
        }
    }
    Ok(())
}

/// Who corrects the links was not shown those to accounts of others, and does not take them away.
pub(super) async fn keep_hidden(
    service: &Service,
    ctx: &Ctx,
    id: AccountId,
    links: &mut Vec<Link>,
) -> Result<(), AppError> {
    let Some(company) = companies::find(service.pool(), id).await? else {
        return Ok(());
    };
    let linked = company.extras.links.iter().filter_map(Link::account);
    let visible = visible(service, ctx, linked.collect()).await?;
    let is_hidden = |link: &Link| link.account().is_some_and(|id| !visible.contains(&id));
    links.extend(company.extras.links.into_iter().filter(is_hidden));
    Ok(())
}

/// Without those to accounts that the caller does not see.
pub(crate) async fn seen_links(
    service: &Service,
    ctx: &Ctx,
    links: &[Link],
) -> Result<Vec<pb::Link>, AppError> {
    let linked = links.iter().filter_map(Link::account);
    let visible = visible(service, ctx, linked.collect()).await?;
    let is_seen = |link: &&Link| link.account().is_none_or(|id| visible.contains(&id));
    let seen = links.iter().filter(is_seen).cloned();
    Ok(seen.map(wire::link).collect())
}

/// Those of the accounts that the caller sees.
pub(crate) async fn visible(
    service: &Service,
    ctx: &Ctx,
    ids: Vec<AccountId>,
) -> Result<BTreeSet<AccountId>, AppError> {
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let known = service.known_accounts(&ids).await?;
    let seen = known.into_iter();
    Ok(seen
        .filter(|(_, account)| account.is_visible(ctx.sees(), ctx.now))
        .map(|(id, _)| id)
        .collect())
}

fn custom(
    v: &mut Violations,
    known: &Known,
    values: &[pb::CustomValue],
) -> BTreeMap<String, Value<String>> {
    custom_by(v, known, values, "custom.", |field, given| {
        value(given).and_then(|value| field.accept(value))
    })
}

/// As a file has it: what is no text is meant as a program says it.
fn cell(field: &Field, given: &pb::CustomValue) -> Result<Value<String>, &'static str> {
    match &given.value {
        Some(custom_value::Value::Text(cell)) => field.read(cell),
        _ => value(given).and_then(|value| field.accept(value)),
    }
}

/// `prefix`: of the key, where the fault of a value is named.
fn custom_by(
    v: &mut Violations,
    known: &Known,
    values: &[pb::CustomValue],
    prefix: &str,
    read: impl Fn(&Field, &pb::CustomValue) -> Result<Value<String>, &'static str>,
) -> BTreeMap<String, Value<String>> {
    let mut custom = BTreeMap::new();
    for (index, given) in at_most(v, "custom", values).iter().enumerate() {
        let Some(field) = known.state.field(given.key.trim()) else {
            v.add(
                format!("custom[{index}].key"),
                "is no field of the catalogue",
            );
            continue;
        };
        let name = format!("{prefix}{}", field.key);
        if let Some(value) = v.parsed(&name, read(field, given))
            && custom.insert(field.key.clone(), value).is_some()
        {
            v.add(&name, "is there twice");
        }
    }
    custom
}

fn value(given: &pb::CustomValue) -> Result<Value<String>, &'static str> {
    use custom_value::Value as Given;
    let given = given.value.as_ref().ok_or("must have a value")?;
    Ok(match given {
        Given::Text(text) => Value::Text(text.clone()),
        Given::Number(text) => {
            Value::Number(Decimal::parse(text).ok_or_else(|| Kind::Number.fault())?)
        }
        Given::Date(text) => {
            let date = NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").ok();
            let date = date.filter(is_of_our_time);
            Value::Date(date.ok_or_else(|| Kind::Date.fault())?)
        }
        Given::Yes(yes) => Value::YesNo(*yes),
        Given::Choice(text) => Value::Choice(text.clone()),
        Given::Money(money) => {
            let money = Money::try_new(money.minor_units, &money.currency);
            Value::Money(money.map_err(|_| Kind::Money.fault())?)
        }
        Given::Unknown(true) => Value::Unknown,
        Given::Empty(true) => Value::Empty,
        Given::Unknown(false) | Given::Empty(false) => return Err("must be true or absent"),
    })
}

/// `known`: a field that has a value in the same request.
fn unknown(
    v: &mut Violations,
    texts: &[String],
    known: impl Fn(Standard) -> bool,
) -> BTreeSet<Standard> {
    let mut fields = BTreeSet::new();
    for (index, text) in at_most(v, "unknown", texts).iter().enumerate() {
        match Standard::parse(text) {
            None => {
                let names = Standard::ALL.map(Standard::as_str).join(", ");
                v.add(
                    format!("unknown[{index}]"),
                    format!("must be one of {names}"),
                );
            }
            Some(field) if known(field) => {
                v.add(
                    format!("unknown[{index}]"),
                    "is given a value at the same time",
                );
            }
            Some(field) => {
                fields.insert(field);
            }
        }
    }
    fields
}

fn is_empty(card: &Card, field: Standard) -> bool {
    match field {
        Standard::Type => &card.kind,
        Standard::City => &card.city,
        Standard::Region => &card.region,
        Standard::Address => &card.address,
        Standard::Industry => &card.industry,
        Standard::Project => &card.project,
        Standard::Source => &card.source,
    }
    .is_empty()
}

fn is_given(changes: &Changes, field: Standard) -> bool {
    let value = match field {
        Standard::Type => &changes.kind,
        Standard::City => &changes.city,
        Standard::Region => &changes.region,
        Standard::Address => &changes.address,
        Standard::Industry => &changes.industry,
        Standard::Project => &changes.project,
        Standard::Source => &changes.source,
    };
    value.as_ref().is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_can_be_opened() {
        for good in ["https://vector.example", " http://vector.example/a?b=c "] {
            assert!(is_url(good), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "https://",
            "https:///etc/passwd",
            "file:///etc/passwd",
            "https://a b",
            "https://a\"onclick",
        ] {
            assert!(!is_url(bad), "{bad}");
        }
    }
}
