use api::contacts::{ImportPersonsRequest, ImportPersonsResponse, PersonRow};
use contacts_domain::{
    Person,
    person::{Add, Command, Rejection},
};
use kit::{AppError, Ctx, Service, Violations};
use vocabulary::{Email, PersonId, PhoneNumber};

use super::{Accounts, MAX_EXTERNAL_ID, Ready, Row, foresee, ids, record};
use crate::persons_view::{self, MAX_NAME};

pub(crate) async fn persons(
    service: &Service,
    ctx: &Ctx,
    request: ImportPersonsRequest,
) -> Result<ImportPersonsResponse, AppError> {
    let named = request.rows.iter().map(|row| row.account.as_str());
    let accounts = Accounts::visible(service, ctx, named).await?;
    let rows: Vec<_> = request
        .rows
        .iter()
        .map(|row| {
            let mut v = Violations::new();
            let ready = read(&mut v, &accounts, row);
            Row {
                number: row.row,
                read: ready.ok_or_else(|| v.into_inner()),
            }
        })
        .collect();
    let imported = if request.dry_run {
        let known = persons_view::find_accounts(service.pool(), &ids(&rows)).await?;
        foresee(service, rows, known, &Rejection::ExternalIdTaken)
    } else {
        record::<Person>(service, ctx, rows, &Rejection::AlreadyAdded).await?
    };
    Ok(ImportPersonsResponse {
        results: imported.results,
        position: Some(service.position(imported.position)),
    })
}

/// `None` when anything is wrong with the row.
fn read(v: &mut Violations, accounts: &Accounts, row: &PersonRow) -> Option<Ready<Command>> {
    let external_id = v.required_line("external_id", &row.external_id, MAX_EXTERNAL_ID);
    let account_id = accounts.read(v, &row.account);
    let name = v.required_line("name", &row.name, MAX_NAME);
    let job_title = v.line("job_title", &row.job_title, MAX_NAME);
    let phone = Some(row.phone.trim()).filter(|text| !text.is_empty());
    let phone = phone.and_then(|text| v.parsed("phone", PhoneNumber::parse(text)));
    let email = Some(row.email.trim()).filter(|text| !text.is_empty());
    let email = email.and_then(|text| v.parsed("email", Email::parse(text)));
    let account_id = account_id.filter(|_| v.is_empty())?;
    let id = PersonId::of_external(&external_id);
    Some(Ready {
        id: id.0,
        account_id,
        command: Command::Add(Add {
            id,
            account_id,
            external_id: Some(external_id),
            name,
            job_title,
            phones: phone.into_iter().collect(),
            emails: email.into_iter().collect(),
        }),
    })
}
