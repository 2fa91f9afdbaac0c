//! Cards as requests bring them.

use accounts_domain::card::{Card, Changes};
use api::accounts::{self as pb, ChangeAccountDetailsRequest};
use kit::Violations;

use super::extras;
use crate::{
    catalogue::Known,
    wire::{MAX_NAME, MAX_TEXT},
};

/// The longest names of towns, trades and the like.
pub(crate) const MAX_PLACE: usize = 200;

/// Every fault under the field's own name, as in `card.phones[0]`.
#[expect(
    clippy::needless_pass_by_value,
    reason = "takes what the request carries and is done with it"
)]
pub(super) fn card(v: &mut Violations, known: &Known, card: pb::Card) -> Card {
    v.within("card", |v| {
        let mut new = Card {
            name: v.required_line("name", &card.name, MAX_NAME),
            kind: v.line("type", &card.r#type, MAX_PLACE),
            phones: v.phones("phones", &card.phones),
            emails: v.emails("emails", &card.emails),
            city: v.line("city", &card.city, MAX_PLACE),
            region: v.line("region", &card.region, MAX_PLACE),
            address: v.line("address", &card.address, MAX_TEXT),
            industry: v.line("industry", &card.industry, MAX_PLACE),
            project: v.line("project", &card.project, MAX_PLACE),
            source: extras::source(v, known, &card.source),
            ..Card::default()
        };
        new.extras = extras::of_card(v, known, &card, &new);
        if card.phones.is_empty() && card.emails.is_empty() {
            phone_or_email(v, "phones", "emails");
        }
        new
    })
}

/// Neither is at fault alone, so both are named.
pub(crate) fn phone_or_email(v: &mut Violations, phones: &str, emails: &str) {
    for field in [phones, emails] {
        v.add(field, "a phone or an e-mail is needed");
    }
}

/// The new values of a correction; what is absent stays.
pub(super) fn changes(
    v: &mut Violations,
    known: &Known,
    req: &ChangeAccountDetailsRequest,
) -> Changes {
    let mut line = |field, text: &Option<String>, max| {
        let text = text.as_deref()?;
        Some(v.line(field, text, max))
    };
    let mut changes = Changes {
        kind: line("type", &req.r#type, MAX_PLACE),
        city: line("city", &req.city, MAX_PLACE),
        region: line("region", &req.region, MAX_PLACE),
        address: line("address", &req.address, MAX_TEXT),
        industry: line("industry", &req.industry, MAX_PLACE),
        project: line("project", &req.project, MAX_PLACE),
        ..Changes::default()
    };
    let source = req.source.as_deref();
    changes.source = source.map(|source| extras::source(v, known, source));
    changes.name = req
        .name
        .as_deref()
        .map(|name| v.required_line("name", name, MAX_NAME));
    changes.phones = req
        .phones
        .as_ref()
        .map(|list| v.phones("phones", &list.phones));
    changes.emails = req
        .emails
        .as_ref()
        .map(|list| v.emails("emails", &list.emails));
    changes.extras = extras::of_changes(v, known, req, &changes);
    changes
}
