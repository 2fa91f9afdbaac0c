use api::contacts::{ImportPersonsRequest, ImportPersonsResponse, PersonRow};
use contacts_domain::{
    Person,
    person::{Add, Command, Rejection},
};
use es::Violation;
use kit::{AppError, Ctx, Service, Violations};
use vocabulary::{Email, PersonId, PhoneNumber};

use super::{Accounts, MAX_EXTERNAL_ID, Ready, Row, foresee, ids, record};
use crate::views::{self, persons::MAX_NAME};

pub(crate) async fn persons(
    service: &Service,
    ctx: &Ctx,
    request: ImportPersonsRequest,
) -> Result<ImportPersonsResponse, AppError> {
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
            Row {
                number: row.row,
                read: read(&accounts, row, points),
            }
        })
        .collect();
    let imported = if request.dry_run {
        let known = views::persons::find_accounts(service.pool(), &ids(&rows)).await?;
        foresee(service, rows, known, &Rejection::ExternalIdTaken)
    } else {
        record::<Person>(service, ctx, &accounts, rows, &Rejection::AlreadyAdded).await?
    };
    Ok(ImportPersonsResponse {
        results: imported.results,
        position: Some(service.position(imported.position)),
    })
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
    accounts: &Accounts,
    row: &PersonRow,
    points: Points,
) -> Result<Ready<Command>, Vec<Violation>> {
    let mut v = points.v;
    let external_id = v.required_line("external_id", &row.external_id, MAX_EXTERNAL_ID);
    let account_id = accounts.read(&mut v, &row.account);
    let name = v.required_line("name", &row.name, MAX_NAME);
    let job_title = v.line("job_title", &row.job_title, MAX_NAME);
    let Some(account_id) = account_id.filter(|_| v.is_empty()) else {
        return Err(v.into_inner());
    };
    let id = PersonId::of_external(&external_id);
    Ok(Ready {
        id: id.0,
        account_id,
        command: Command::Add(Add {
            id,
            account_id,
            external_id: Some(external_id),
            name,
            job_title,
            phones: points.phones,
            emails: points.emails,
        }),
    })
}
