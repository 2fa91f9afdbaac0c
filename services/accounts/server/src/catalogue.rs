//! The catalogue of the office: what its cards can be asked for.

mod current;

use accounts_domain::{
    catalogue::{self as domain, Catalogue, Command, Entry, List, Offer, State},
    field::{Field, Kind},
};
use api::accounts::{
    CatalogueEntry, CatalogueList, FieldDefinition, FieldKind, GetCatalogueRequest,
    GetCatalogueResponse, PublishEntriesRequest, PublishEntriesResponse, PublishFieldRequest,
    PublishFieldResponse, WithdrawEntryRequest, WithdrawEntryResponse, WithdrawFieldRequest,
    WithdrawFieldResponse, catalogue_service_server::CatalogueService,
};
use kit::{AppError, Ctx, Service, Violations};
use tonic::{Request, Response, Status};

use crate::wire::{MAX_ID, MAX_NAME, MAX_TEXT};
pub(crate) use current::{Current, Known};

const MOST: usize = 200;

pub(crate) struct Handlers {
    service: Service,
    current: Current,
}

impl Handlers {
    pub(crate) fn new(service: &Service, current: &Current) -> Self {
        Self {
            service: service.clone(),
            current: current.clone(),
        }
    }

    async fn execute(
        &self,
        ctx: &Ctx,
        command: Command,
    ) -> Result<api::common::Recorded, AppError> {
        let context = ctx.command();
        let log = &self.service.log;
        let outcome = log.execute::<Catalogue>(&context, domain::id(), command);
        Ok(self.service.recorded(&outcome.await?))
    }
}

fn list(v: &mut Violations, list: i32) -> Option<List> {
    let list = match CatalogueList::try_from(list) {
        Ok(CatalogueList::Status) => Some(List::Status),
        Ok(CatalogueList::Source) => Some(List::Source),
        Ok(CatalogueList::Rubric) => Some(List::Rubric),
        Ok(CatalogueList::DocumentKind) => Some(List::DocumentKind),
        Ok(CatalogueList::Unspecified) | Err(_) => None,
    };
    if list.is_none() {
        v.add("list", "must be status, source, rubric or document kind");
    }
    list
}

fn kind(v: &mut Violations, kind: i32) -> Option<Kind> {
    let kind = match FieldKind::try_from(kind) {
        Ok(FieldKind::Text) => Some(Kind::Text),
        Ok(FieldKind::Number) => Some(Kind::Number),
        Ok(FieldKind::Date) => Some(Kind::Date),
        Ok(FieldKind::YesNo) => Some(Kind::YesNo),
        Ok(FieldKind::Choice) => Some(Kind::Choice),
        Ok(FieldKind::Money) => Some(Kind::Money),
        Ok(FieldKind::Unspecified) | Err(_) => None,
    };
    if kind.is_none() {
        let fault = "must be text, number, date, yes or no, choice or money";
        v.add("kind", fault);
    }
    kind
}

fn kind_to_api(kind: Kind) -> FieldKind {
    match kind {
        Kind::Text => FieldKind::Text,
        Kind::Number => FieldKind::Number,
        Kind::Date => FieldKind::Date,
        Kind::YesNo => FieldKind::YesNo,
        Kind::Choice => FieldKind::Choice,
        Kind::Money => FieldKind::Money,
    }
}

/// The domain looks at keys and at names that are there twice.
fn entries(v: &mut Violations, field: &str, entries: Vec<CatalogueEntry>) -> Vec<Entry> {
    if entries.len() > MOST {
        v.add(field, format!("must have at most {MOST} entries"));
        return Vec::new();
    }
    let entries = entries.into_iter().enumerate().map(|(index, entry)| {
        v.within(&format!("{field}[{index}]"), |v| {
            if entry.aliases.len() > MOST {
                v.add("aliases", format!("must have at most {MOST} entries"));
            }
            let aliases = entry.aliases.iter().take(MOST);
            Entry {
                key: entry.key.trim().to_owned(),
                name: v.line("name", &entry.name, MAX_NAME),
                aliases: aliases
                    .map(|alias| v.line("aliases", alias, MAX_NAME))
                    .filter(|alias| !alias.is_empty())
                    .collect(),
                closed: entry.closed,
            }
        })
    });
    entries.collect()
}

fn field(v: &mut Violations, given: Option<FieldDefinition>) -> Option<Field> {
    let given = given.unwrap_or_default();
    let kind = kind(v, given.kind);
    let reason = v.line("override_reason", &given.override_reason, MAX_TEXT);
    Some(Field {
        key: v.required_line("key", &given.key, MAX_ID),
        version: 0,
        name: v.required_line("name", &given.name, MAX_NAME),
        choices: entries(v, "choices", given.choices),
        required: given.required,
        searchable: given.searchable,
        override_reason: Some(reason).filter(|reason| !reason.is_empty()),
        kind: kind?,
    })
}

fn entry_to_api(entry: &Entry, active: bool) -> CatalogueEntry {
    CatalogueEntry {
        key: entry.key.clone(),
        name: entry.name.clone(),
        aliases: entry.aliases.clone(),
        withdrawn: !active,
        closed: entry.closed,
    }
}

fn field_to_api(field: &Field, active: bool) -> FieldDefinition {
    let choices = field.choices.iter();
    FieldDefinition {
        key: field.key.clone(),
        name: field.name.clone(),
        kind: kind_to_api(field.kind).into(),
        choices: choices.map(|choice| entry_to_api(choice, true)).collect(),
        required: field.required,
        searchable: field.searchable,
        version: field.version.try_into().unwrap_or(i32::MAX),
        override_reason: field.override_reason.clone().unwrap_or_default(),
        withdrawn: !active,
    }
}

fn answer(known: &Known, history: bool) -> GetCatalogueResponse {
    let state: &State = &known.state;
    let entries = |list| {
        let all = state.entries(list).iter();
        all.filter(|offer| offer.active || history)
            .map(|offer| entry_to_api(&offer.what, offer.active))
            .collect()
    };
    let versions = |offer: &Offer<Vec<Field>>| {
        let versions = offer.what.iter();
        let last = offer.what.len().saturating_sub(1);
        versions
            .enumerate()
            .filter(|(index, _)| history || *index == last)
            .map(|(index, field)| field_to_api(field, offer.active && index == last))
            .collect::<Vec<_>>()
    };
    let fields = state.field_versions().iter();
    GetCatalogueResponse {
        statuses: entries(List::Status),
        sources: entries(List::Source),
        rubrics: entries(List::Rubric),
        document_kinds: entries(List::DocumentKind),
        fields: fields
            .filter(|offer| offer.active || history)
            .flat_map(versions)
            .collect(),
        version: known.version,
    }
}

#[tonic::async_trait]
impl CatalogueService for Handlers {
    async fn get_catalogue(
        &self,
        request: Request<GetCatalogueRequest>,
    ) -> Result<Response<GetCatalogueResponse>, Status> {
        let (_, req) = self.service.plain(request).await?;
        let known = self.current.get().await?;
        Ok(Response::new(answer(&known, req.include_history)))
    }

    async fn publish_entries(
        &self,
        request: Request<PublishEntriesRequest>,
    ) -> Result<Response<PublishEntriesResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let mut v = Violations::new();
        let list = list(&mut v, req.list);
        if req.entries.is_empty() {
            v.add("entries", "must not be empty");
        }
        let entries = entries(&mut v, "entries", req.entries);
        let list = v.checked(list)?;
        let recorded = self.execute(&ctx, Command::Publish { list, entries });
        Ok(Response::new(PublishEntriesResponse {
            recorded: Some(recorded.await?),
        }))
    }

    async fn withdraw_entry(
        &self,
        request: Request<WithdrawEntryRequest>,
    ) -> Result<Response<WithdrawEntryResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let mut v = Violations::new();
        let list = list(&mut v, req.list);
        let key = v.required_line("key", &req.key, MAX_ID);
        let list = v.checked(list)?;
        let recorded = self.execute(&ctx, Command::Withdraw { list, key });
        Ok(Response::new(WithdrawEntryResponse {
            recorded: Some(recorded.await?),
        }))
    }

    async fn publish_field(
        &self,
        request: Request<PublishFieldRequest>,
    ) -> Result<Response<PublishFieldResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let mut v = Violations::new();
        let field = v.within("field", |v| field(v, req.field));
        let field = v.checked(field)?;
        let recorded = self.execute(&ctx, Command::PublishField(field));
        Ok(Response::new(PublishFieldResponse {
            recorded: Some(recorded.await?),
        }))
    }

    async fn withdraw_field(
        &self,
        request: Request<WithdrawFieldRequest>,
    ) -> Result<Response<WithdrawFieldResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let mut v = Violations::new();
        let key = v.required_line("key", &req.key, MAX_ID);
        v.finish()?;
        let recorded = self.execute(&ctx, Command::WithdrawField { key });
        Ok(Response::new(WithdrawFieldResponse {
            recorded: Some(recorded.await?),
        }))
    }
}
