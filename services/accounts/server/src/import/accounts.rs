//! A directory of companies.

use std::collections::HashMap;

use accounts_domain::{
    account::{Account, Command, Registration, Rejection},
    card::Card,
};
use api::accounts::{AccountRow, ImportAccountsRequest, ImportAccountsResponse};
use chrono::{DateTime, SubsecRound, Utc};
use es_postgres::ExecuteError;
use kit::{AppError, Ctx, Service, Snapshot, Violations};
use uuid::Uuid;
use vocabulary::{AccountId, Email, PhoneNumber, Role, StaffId, normalise, parse_instant};

use super::{Fate, check_size, refusal, row_of};
use crate::{
    accounts::{MAX_PLACE, phone_or_email},
    owners::{self, NOT_AN_OWNER},
    views::companies::{self, Holder},
    wire::{MAX_ID, MAX_NAME, MAX_TEXT, caught_up},
};

pub(crate) async fn run(
    service: &Service,
    ctx: &Ctx,
    req: ImportAccountsRequest,
) -> Result<ImportAccountsResponse, AppError> {
    check_size(req.rows.len())?;
    caught_up(service).await?;
    let directory = service.directory.snapshot();
    let numbers: Vec<_> = req.rows.iter().map(|row| row.row).collect();
    let rows = req.rows.into_iter();
    let read: Vec<_> = rows.map(|row| read(ctx, &directory, row)).collect();
    let rows = unless_stopped(service, read).await?;
    let mut fates = Vec::with_capacity(rows.len());
    let mut commands = Vec::new();
    let mut seen = Seen::load(service, &rows).await?;
    for row in rows {
        let fate = match row {
            Ok(registration) => {
                let fate = seen.fate(ctx, &registration);
                if matches!(fate, Fate::Created(_)) {
                    let id = registration.id.0;
                    let command = Command::Register(registration);
                    commands.push((fates.len(), (ctx.command(), id, command)));
                }
                fate
            }
            Err(fate) => fate,
        };
        fates.push(fate);
    }
    let mut reached = *service.log.head().borrow();
    if !req.dry_run {
        let (indexes, commands): (Vec<_>, Vec<_>) = commands.into_iter().unzip();
        let outcomes = service.log.execute_many::<Account>(commands).await;
        for (index, outcome) in indexes.into_iter().zip(outcomes) {
            match outcome {
                Ok(outcome) => reached = reached.max(outcome.position),
                Err(error) => {
                    if let Some(fate) = fates.get_mut(index) {
                        *fate = after_refusal(fate, error)?;
                    }
                }
            }
        }
    }
    let results = numbers.into_iter().zip(fates);
    Ok(ImportAccountsResponse {
        results: results.map(|(row, fate)| fate.result(row)).collect(),
        position: Some(service.position(reached)),
    })
}

/// Somebody imported the same row in this moment: then it is a repetition.
fn after_refusal(fate: &Fate, error: ExecuteError<Rejection>) -> Result<Fate, AppError> {
    match (fate, error) {
        (Fate::Created(id), ExecuteError::Rejected(Rejection::Exists)) => Ok(Fate::Repeated(*id)),
        (_, error) => refusal(error, "external_id"),
    }
}

/// The rows that can be taken. Telephones and addresses of all of them are looked up at once.
async fn unless_stopped(
    service: &Service,
    rows: Vec<(Violations, Registration)>,
) -> Result<Vec<Result<Registration, Fate>>, AppError> {
    let cards = || rows.iter().map(|(_, registration)| &registration.card);
    let (phones, emails) = (
        cards().flat_map(|c| &c.phones),
        cards().flat_map(|c| &c.emails),
    );
    let stopped = service.stopped(phones, emails).await?;
    let rows = rows.into_iter().map(|(mut v, registration)| {
        stopped.phones(&mut v, "phone", &registration.card.phones);
        stopped.emails(&mut v, "email", &registration.card.emails);
        row_of(v, Some(registration))
    });
    Ok(rows.collect())
}

/// What a row says, and everything that is wrong with it.
fn read(ctx: &Ctx, directory: &Snapshot, row: AccountRow) -> (Violations, Registration) {
    let mut v = Violations::new();
    let external_id = v.required_line("external_id", &row.external_id, MAX_ID);
    let card = card(&mut v, &row.card.unwrap_or_default());
    let owner = owner(&mut v, ctx, directory, &row.owner);
    let registered_at = past(&mut v, "registered_at", &row.registered_at, ctx);
    let registration = Registration {
        id: AccountId::of_external(&external_id),
        external_id: Some(external_id),
        card,
        owner: owner.map(|id| owners::owner_in(directory, id, registered_at)),
        registered_at,
    };
    (v, registration)
}

fn card(v: &mut Violations, card: &api::accounts::Card) -> Card {
    let phones = points(v, "phone", &card.phones, PhoneNumber::parse);
    let emails = points(v, "email", &card.emails, Email::parse);
    if filled(&card.phones).next().is_none() && filled(&card.emails).next().is_none() {
        phone_or_email(v, "phone", "email");
    }
    Card {
        name: v.required_line("name", &card.name, MAX_NAME),
        kind: v.line("type", &card.r#type, MAX_PLACE),
        phones,
        emails,
        city: v.line("city", &card.city, MAX_PLACE),
        region: v.line("region", &card.region, MAX_PLACE),
        address: v.line("address", &card.address, MAX_TEXT),
        industry: v.line("industry", &card.industry, MAX_PLACE),
        project: v.line("project", &card.project, MAX_PLACE),
        source: v.line("source", &card.source, MAX_PLACE),
    }
}

/// An empty cell is no phone, and no fault either.
fn filled(cells: &[String]) -> impl Iterator<Item = &String> {
    cells.iter().filter(|cell| !cell.trim().is_empty())
}

fn points<T: PartialEq, E: ToString>(
    v: &mut Violations,
    column: &str,
    cells: &[String],
    parse: impl Fn(&str) -> Result<T, E>,
) -> Vec<T> {
    let mut points = Vec::new();
    for cell in filled(cells) {
        let point = v.parsed(column, parse(cell));
        points.extend(point.filter(|point| !points.contains(point)));
    }
    points
}

/// Empty is the importing manager, for others the pool.
fn owner(
    v: &mut Violations,
    ctx: &Ctx,
    directory: &Snapshot,
    external_id: &str,
) -> Option<StaffId> {
    let external_id = normalise(external_id);
    if external_id.is_empty() {
        return (ctx.role() == Role::Manager).then(|| ctx.staff_id());
    }
    let id = StaffId::of_external(&external_id);
    if !directory.staff(id).is_some_and(owners::can_own) {
        v.add("owner", NOT_AN_OWNER);
    } else if !directory.scope(&ctx.principal).includes(id) {
        v.add("owner", "must be somebody whose accounts the importer sees");
    }
    Some(id)
}

/// A past date or instant; empty is now.
pub(super) fn past(v: &mut Violations, column: &str, text: &str, ctx: &Ctx) -> DateTime<Utc> {
    if text.trim().is_empty() {
        return ctx.now;
    }
    match parse_instant(text, &ctx.zone()) {
        Some(instant) if instant > ctx.now => v.add(column, "must not be in the future"),
        Some(instant) => return instant.trunc_subsecs(6),
        None => v.add(column, "must be a date or an RFC 3339 instant"),
    }
    ctx.now
}

/// What is there already: in the base and further up in the file.
struct Seen {
    /// By the id that follows from the external id: the account that the row means.
    rows: HashMap<AccountId, Option<Uuid>>,
    phones: HashMap<String, Holder>,
}

impl Seen {
    async fn load(
        service: &Service,
        rows: &[Result<Registration, Fate>],
    ) -> Result<Self, AppError> {
        let rows = || rows.iter().filter_map(|row| row.as_ref().ok());
        let ids: Vec<_> = rows().map(|row| row.id).collect();
        let phones: Vec<_> = rows().flat_map(|row| row.card.phones.clone()).collect();
        let known = service.directory.accounts(&ids).await?;
        Ok(Self {
            rows: known.into_keys().map(|id| (id, Some(id.0))).collect(),
            phones: companies::holders(service.pool(), &phones).await?,
        })
    }

    fn fate(&mut self, ctx: &Ctx, row: &Registration) -> Fate {
        if let Some(account) = self.rows.get(&row.id) {
            return account.map_or(Fate::Matched(None), Fate::Repeated);
        }
        let phones = row.card.phones.iter().map(PhoneNumber::as_str);
        if let Some(holder) = phones.clone().find_map(|phone| self.phones.get(phone)) {
            let visible = ctx.sees().includes_owner(holder.owner_id);
            let account = visible.then_some(holder.account_id.0);
            self.rows.insert(row.id, account);
            return Fate::Matched(account);
        }
        let holder = Holder {
            account_id: row.id,
            owner_id: row.owner.map(|owner| owner.id),
        };
        self.phones
            .extend(phones.map(|phone| (phone.to_owned(), holder)));
        self.rows.insert(row.id, Some(row.id.0));
        Fate::Created(row.id.0)
    }
}
