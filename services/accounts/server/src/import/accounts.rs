//! A file of companies. A row means the company with its external id, telephone or address; each
//! row of a named file has one fate for ever, and a company keeps the row it came from.

mod seen;

use std::collections::{HashMap, HashSet};

use accounts_domain::{
    account::{Account, Command, Registration, Rejection},
    card::Card,
    import_batch::{self, Batch, Fault, ImportBatch, Origin, Outcome, Row},
};
use api::{
    accounts::{AccountRow, ImportAccountsRequest, ImportAccountsResponse, ImportFile},
    common::RowResult,
};
use es_postgres::ExecuteError;
use kit::{
    AppError, Ctx, Service, Snapshot, Violations,
    import::{Fate, MAX_EXTERNAL_ID, New, check_size, past, refusal, write},
};
use uuid::Uuid;
use vocabulary::{
    AccountId, Email, ImportId, PhoneNumber, Role, StaffId, fold_for_search, normalise,
};

use super::{outcome, worded};
use crate::{
    accounts::{MAX_PLACE, extras, phone_or_email},
    catalogue::Known,
    duplicates,
    owners::{self, NOT_AN_OWNER},
    views::imports,
    wire::{MAX_ID, MAX_NAME, MAX_TEXT, caught_up},
};
use seen::Seen;

/// So often somebody else registers one of the same companies in the same moment, and no more.
const ATTEMPTS: usize = 8;

/// The file that rows are of.
struct File {
    id: ImportId,
    name: String,
}

/// A row, and what can be registered by it or what is wrong with it.
type Read = (i64, Result<Registration, Vec<Fault>>);

pub(crate) async fn run(
    service: &Service,
    known: &Known,
    ctx: &Ctx,
    req: ImportAccountsRequest,
) -> Result<ImportAccountsResponse, AppError> {
    check_size(req.rows.len())?;
    let file = req.file.as_ref().map(file).transpose()?;
    let numbers: Vec<_> = req.rows.iter().map(|row| row.row).collect();
    if file.is_some() {
        check_numbers(&numbers)?;
    }
    // Owners who were hired a moment ago are known, too.
    caught_up(service).await?;
    let directory = service.directory.snapshot();
    let rows = req.rows.into_iter();
    let read: Vec<_> = rows
        .map(|row| (row.row, self::read(service, ctx, known, &directory, row)))
        .collect();
    let mut read = unless_hidden_or_stopped(service, ctx, read).await?;
    let mut fates = HashMap::new();
    if let Some(file) = &file {
        fates = imports::rows_of(service.pool(), file.id, &numbers).await?;
        // What was refused may be right by now: its owner was hired, or its status published.
        read.retain(|(number, row)| match fates.get(number) {
            Some(fate) => fate.outcome == Outcome::Rejected && row.is_ok(),
            None => true,
        });
        for (number, row) in &mut read {
            if let Ok(registration) = row {
                let (import_id, row) = (file.id, *number);
                registration.origin = Some(Origin { import_id, row });
            }
        }
    }
    let (new, reached) = if read.is_empty() {
        (Vec::new(), *service.log.head().borrow())
    } else {
        take(service, ctx, file.as_ref(), &read, req.dry_run).await?
    };
    let rows = if file.is_some() {
        fates.extend(new.into_iter().map(|row| (row.row, row)));
        let rows = numbers.iter().filter_map(|number| fates.remove(number));
        rows.collect()
    } else {
        new
    };
    Ok(ImportAccountsResponse {
        results: answered(service, ctx, &rows).await?,
        position: Some(service.position(reached)),
    })
}

/// What becomes of a row is recorded under its number.
fn check_numbers(numbers: &[i64]) -> Result<(), AppError> {
    let mut v = Violations::new();
    let mut seen = HashSet::new();
    for (index, number) in numbers.iter().enumerate() {
        if !seen.insert(number) {
            v.add(format!("rows[{index}].row"), "is there twice");
        }
    }
    v.finish()
}

fn file(file: &ImportFile) -> Result<File, AppError> {
    let mut v = Violations::new();
    let (digest, name) = v.within("file", |v| {
        let digest = v.required_line("digest", &file.digest, MAX_ID + MAX_ID);
        (digest, v.required_line("name", &file.name, MAX_NAME))
    });
    v.finish()?;
    Ok(File {
        id: ImportId::of_external(&digest.to_lowercase()),
        name,
    })
}

/// Decides and registers rows that have no fate yet, and how far the log has come by it.
async fn take(
    service: &Service,
    ctx: &Ctx,
    file: Option<&File>,
    read: &[Read],
    dry_run: bool,
) -> Result<(Vec<Row>, i64), AppError> {
    for _ in 0..ATTEMPTS {
        caught_up(service).await?;
        let mut seen = Seen::load(service, file.map(|file| file.id), read).await?;
        let mut rows: Vec<_> = read
            .iter()
            .map(|(number, row)| match row {
                Ok(registration) => seen.fate(*number, registration),
                Err(faults) => rejected(*number, faults.clone()),
            })
            .collect();
        if dry_run {
            return Ok((rows, *service.log.head().borrow()));
        }
        let (overtaken, reached) = register(service, ctx, &seen, read, &mut rows).await?;
        let Some(file) = file else {
            return Ok((rows, reached));
        };
        // Whose each company is, the next look tells.
        if !overtaken {
            return record(service, ctx, file, rows).await;
        }
    }
    Err(AppError::Unavailable(
        "an import was overtaken again and again".to_owned(),
    ))
}

/// Registers what rows bring; true: somebody registered one of these companies in this moment.
async fn register(
    service: &Service,
    ctx: &Ctx,
    seen: &Seen,
    read: &[Read],
    rows: &mut [Row],
) -> Result<(bool, i64), AppError> {
    let (mut bringing, mut new) = (Vec::new(), Vec::new());
    for (row, (_, read)) in rows.iter_mut().zip(read) {
        if let (Outcome::Created, Ok(registration)) = (row.outcome, read)
            && !seen.has_made(registration.id)
        {
            bringing.push(row);
            new.push(New {
                id: registration.id.0,
                stream: registration.id.0,
                owner: None,
                command: Command::Register(registration.clone()),
            });
        }
    }
    let (fates, reached) = write::<Account>(service, ctx, new, refused).await?;
    let mut overtaken = false;
    for (row, fate) in bringing.into_iter().zip(fates) {
        match fate {
            Fate::Created(_) => {}
            Fate::Repeated(_) => {
                overtaken = true;
                row.outcome = Outcome::Repeated;
            }
            Fate::Rejected(faults) => {
                *row = rejected(row.row, faults.into_iter().map(Fault::from).collect());
            }
        }
    }
    Ok((overtaken, reached))
}

fn refused(id: Uuid, error: ExecuteError<Rejection>) -> Result<Fate, AppError> {
    match error {
        ExecuteError::Rejected(Rejection::Exists) => Ok(Fate::Repeated(id)),
        error => refusal(error, "external_id"),
    }
}

async fn record(
    service: &Service,
    ctx: &Ctx,
    file: &File,
    rows: Vec<Row>,
) -> Result<(Vec<Row>, i64), AppError> {
    let first = rows.first().map_or(0, |row| row.row);
    let batch = Batch {
        import_id: file.id,
        file: file.name.clone(),
        rows,
    };
    let numbers: HashSet<_> = batch.rows.iter().map(|row| row.row).collect();
    let (id, command) = (
        import_batch::id(file.id, first),
        import_batch::Command::Record(batch),
    );
    let (log, context) = (&service.log, ctx.command());
    let outcome = log.execute::<ImportBatch>(&context, id, command).await?;
    // Somebody who imported the same rows in this moment may have been first.
    let rows = outcome.state.rows.into_values();
    let rows = rows.filter(|row| numbers.contains(&row.row));
    Ok((rows.collect(), outcome.position))
}

fn rejected(row: i64, faults: Vec<Fault>) -> Row {
    Row {
        row,
        outcome: Outcome::Rejected,
        account_id: None,
        owner_id: None,
        faults,
    }
}

/// Rows as the caller may know them.
async fn answered(service: &Service, ctx: &Ctx, rows: &[Row]) -> Result<Vec<RowResult>, AppError> {
    let ids: Vec<_> = rows.iter().filter_map(|row| row.account_id).collect();
    let accounts = service.directory.accounts(&ids).await?;
    let owners: Vec<_> = rows.iter().filter_map(|row| row.owner_id).collect();
    let names = duplicates::short_names(service, &owners).await?;
    let told = service.node.config.prospects.show_owners;
    let results = rows.iter().map(|row| {
        let account = row.account_id.and_then(|id| accounts.get(&id));
        // One that is not known is brought by these rows.
        let seen = account.is_none_or(|account| account.is_visible(ctx.sees(), ctx.now));
        // What the caller brings is the caller's to know, whoever gets it.
        let told_which = seen || row.outcome == Outcome::Created;
        let owner = row.owner_id.filter(|_| seen || told);
        let id = row.account_id.filter(|_| told_which);
        RowResult {
            row: row.row,
            outcome: outcome(row.outcome).into(),
            id: id.map_or_else(String::new, |id| id.to_string()),
            violations: row.faults.iter().map(worded).collect(),
            owner: owner
                .and_then(|id| names.get(&id).cloned())
                .unwrap_or_default(),
        }
    });
    Ok(results.collect())
}

/// The rows that can be taken. Telephones and addresses of all of them are looked up at once.
async fn unless_hidden_or_stopped(
    service: &Service,
    ctx: &Ctx,
    mut rows: Vec<(i64, (Violations, Registration))>,
) -> Result<Vec<Read>, AppError> {
    for (_, (v, registration)) in &mut rows {
        let links = &registration.card.extras.links;
        extras::check_linked(service, ctx, v, "", links).await?;
    }
    let cards = || rows.iter().map(|(_, (_, registration))| &registration.card);
    let (phones, emails) = (
        cards().flat_map(|c| &c.phones),
        cards().flat_map(|c| &c.emails),
    );
    let stopped = service.stopped(phones, emails).await?;
    let rows = rows.into_iter().map(|(number, (mut v, registration))| {
        stopped.phones(&mut v, "phone", &registration.card.phones);
        stopped.emails(&mut v, "email", &registration.card.emails);
        let faults = v.into_inner();
        let row = if faults.is_empty() {
            Ok(registration)
        } else {
            Err(faults.into_iter().map(Fault::from).collect())
        };
        (number, row)
    });
    Ok(rows.collect())
}

/// What a row says, and everything that is wrong with it.
fn read(
    service: &Service,
    ctx: &Ctx,
    known: &Known,
    directory: &Snapshot,
    row: AccountRow,
) -> (Violations, Registration) {
    let mut v = Violations::new();
    let external_id = v.line("external_id", &row.external_id, MAX_EXTERNAL_ID);
    let external_id = Some(external_id).filter(|text| !text.is_empty());
    let card = card(&mut v, known, &row.card.unwrap_or_default());
    let owner = owner(&mut v, ctx, directory, &row.owner);
    let registered_at = past(&mut v, ctx, "registered_at", &row.registered_at);
    let registered_at = registered_at.unwrap_or(ctx.now);
    let registration = Registration {
        id: match &external_id {
            Some(external_id) => AccountId::of_external(external_id),
            None => id_of_content(service, &card),
        },
        external_id,
        card,
        owner: owner.map(|id| owners::owner_in(directory, id, registered_at)),
        registered_at,
        status: known.state.first_status().map(|entry| entry.key.clone()),
        origin: None,
    };
    (v, registration)
}

/// A directory numbers nothing: the same row is the same company in whichever order and file. By a
/// keyed hash, since an id stays when the card is erased.
fn id_of_content(service: &Service, card: &Card) -> AccountId {
    let mut phones: Vec<_> = card.phones.iter().map(ToString::to_string).collect();
    let mut emails: Vec<_> = card.emails.iter().map(seen::key).collect();
    phones.sort_unstable();
    emails.sort_unstable();
    let content = [
        fold_for_search(&card.name),
        phones.join(" "),
        emails.join(" "),
    ];
    let fingerprint = service.log.fingerprint("account_row", &content.join("\n"));
    AccountId(Uuid::new_v5(&Uuid::nil(), &fingerprint))
}

fn card(v: &mut Violations, known: &Known, card: &api::accounts::Card) -> Card {
    let phones = points(v, "phone", &card.phones, PhoneNumber::parse);
    let emails = points(v, "email", &card.emails, Email::parse);
    if filled(&card.phones).next().is_none() && filled(&card.emails).next().is_none() {
        phone_or_email(v, "phone", "email");
    }
    let mut new = Card {
        name: v.required_line("name", &card.name, MAX_NAME),
        kind: v.line("type", &card.r#type, MAX_PLACE),
        phones,
        emails,
        city: v.line("city", &card.city, MAX_PLACE),
        region: v.line("region", &card.region, MAX_PLACE),
        address: v.line("address", &card.address, MAX_TEXT),
        industry: v.line("industry", &card.industry, MAX_PLACE),
        project: v.line("project", &card.project, MAX_PLACE),
        source: extras::source(v, known, &card.source),
        ..Card::default()
    };
    new.extras = extras::of_row(v, known, card, &new);
    new
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
    } else if !ctx.sees_by(directory).includes(id) {
        v.add("owner", "must be somebody whose accounts the importer sees");
    }
    Some(id)
}
