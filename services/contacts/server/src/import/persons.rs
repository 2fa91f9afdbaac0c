use api::contacts::{ImportPersonsRequest, ImportPersonsResponse, PersonRow};
use contacts_domain::{
    Person,
    person::{Add, Command, Rejection},
};
use es::Rejection as _;
use es_postgres::ExecuteError;
use kit::{
    AppError, Ctx, Service, Violations,
    import::{Accounts, Fate, New, check_size, external_id, refusal, row_of, settle},
};
use uuid::Uuid;
use vocabulary::{Email, PersonId, PhoneNumber};

use crate::views::persons::MAX_NAME;

pub(crate) async fn persons(
    service: &Service,
    ctx: &Ctx,
    request: ImportPersonsRequest,
) -> Result<ImportPersonsResponse, AppError> {
    check_size(request.rows.len())?;
    let named = request.rows.iter().map(|row| row.account.as_str());
    let accounts = Accounts::visible(service, ctx, named).await?;
    let points: Vec<_> = request.rows.iter().map(Points::read).collect();
    let (phones, emails) = (points.iter(), points.iter());
    let stopped = service
        .stopped(
            phones.flat_map(|p| &p.phones),
            emails.flat_map(|p| &p.emails),
        )
        .await?;
    let rows = request.rows.iter().zip(points);
    let rows: Vec<_> = rows
        .map(|(row, mut points)| {
            stopped.phones(&mut points.v, "phone", &points.phones);
            stopped.emails(&mut points.v, "email", &points.emails);
            (row.row, read(ctx, &accounts, row, points))
        })
        .collect();
    let (results, position) =
        settle::<Person>(service, ctx, rows, request.dry_run, refused).await?;
    Ok(ImportPersonsResponse {
        results,
        position: Some(position),
    })
}

fn refused(id: Uuid, error: ExecuteError<Rejection>) -> Result<Fate, AppError> {
    match error {
        ExecuteError::Rejected(Rejection::AlreadyAdded) => Ok(Fate::Repeated(id)),
        ExecuteError::Rejected(taken @ Rejection::ExternalIdTaken) => {
            Ok(Fate::of_another_account(taken.reason()))
        }
        error => refusal(error, "person"),
    }
}

/// Where the person of a row can be reached, and what is wrong with that.
struct Points {
    v: Violations,
    phones: Vec<PhoneNumber>,
    emails: Vec<Email>,
}

impl Points {
    fn read(row: &PersonRow) -> Self {
        let mut v = Violations::new();
        let phone = Some(row.phone.trim()).filter(|text| !text.is_empty());
        let phone = phone.and_then(|text| v.parsed("phone", PhoneNumber::parse(text)));
        let email = Some(row.email.trim()).filter(|text| !text.is_empty());
        let email = email.and_then(|text| v.parsed("email", Email::parse(text)));
        Self {
            v,
            phones: phone.into_iter().collect(),
            emails: email.into_iter().collect(),
        }
    }
}

fn read(
    ctx: &Ctx,
    accounts: &Accounts,
    row: &PersonRow,
    points: Points,
) -> Result<New<Person>, Fate> {
    let mut v = points.v;
    let external_id = external_id(&mut v, &row.external_id);
    let account = accounts.read(&mut v, &row.account);
    let name = v.required_line("name", &row.name, MAX_NAME);
    let job_title = v.line("job_title", &row.job_title, MAX_NAME);
    let id = PersonId::of_external(&external_id);
    let new = account.map(|(account_id, account)| New {
        id: id.0,
        stream: id.0,
        owner: account.holder_at(ctx.now),
        command: Command::Add(Add {
            id,
            account_id,
            external_id: Some(external_id),
            name,
            job_title,
            phones: points.phones,
            emails: points.emails,
        }),
    });
    row_of(v, new)
}
