use std::collections::HashMap;

use api::contacts::{ImportInteractionsRequest, ImportInteractionsResponse, InteractionRow};
use contacts_domain::{
    Interaction,
    interaction::{Command, Log, Rejection, duration_fault},
};
use es::Rejection as _;
use es_postgres::ExecuteError;
use kit::{
    AppError, Ctx, Service, Violations,
    import::{
        Accounts, Fate, MAX_EXTERNAL_ID, New, check_size, external_id, refusal, required_past,
        row_of, settle,
    },
};
use uuid::Uuid;
use vocabulary::{AccountId, Direction, InteractionId, PersonId, StaffId, normalise};

use crate::{log_interaction::MAX_TEXT, views};

pub(crate) async fn interactions(
    service: &Service,
    ctx: &Ctx,
    request: ImportInteractionsRequest,
) -> Result<ImportInteractionsResponse, AppError> {
    check_size(request.rows.len())?;
    let named = request.rows.iter().map(|row| row.account.as_str());
    let reader = Reader {
        ctx,
        accounts: Accounts::visible(service, ctx, named).await?,
        persons: known_persons(service, &request.rows).await?,
    };
    let rows: Vec<_> = request
        .rows
        .iter()
        .map(|row| {
            let mut v = Violations::new();
            let new = reader.read(&mut v, row);
            (row.row, row_of(v, new))
        })
        .collect();
    let (results, position) =
        settle::<Interaction>(service, ctx, rows, request.dry_run, refused).await?;
    Ok(ImportInteractionsResponse {
        results,
        position: Some(position),
    })
}

fn refused(id: Uuid, error: ExecuteError<Rejection>) -> Result<Fate, AppError> {
    match error {
        ExecuteError::Rejected(Rejection::AlreadyLogged) => Ok(Fate::Repeated(id)),
        ExecuteError::Rejected(taken @ Rejection::ExternalIdTaken) => {
            Ok(Fate::of_another_account(taken.reason()))
        }
        error => refusal(error, "person"),
    }
}

/// Which account answers for each person named in the file.
async fn known_persons(
    service: &Service,
    rows: &[InteractionRow],
) -> Result<HashMap<Uuid, AccountId>, AppError> {
    let named = rows.iter().map(|row| normalise(&row.person));
    let mut ids: Vec<_> = named
        .filter(|external_id| !external_id.is_empty())
        .map(|external_id| PersonId::of_external(&external_id).0)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    views::persons::accounts_of(service, &ids).await
}

/// What the rows of one batch are checked against.
struct Reader<'a> {
    ctx: &'a Ctx,
    accounts: Accounts,
    persons: HashMap<Uuid, AccountId>,
}

impl Reader<'_> {
    /// `None`: what every contact has cannot be read.
    fn read(&self, v: &mut Violations, row: &InteractionRow) -> Option<New<Interaction>> {
        let external_id = external_id(v, &row.external_id);
        let account = self.accounts.read(v, &row.account);
        let answering = account.map(|(_, account)| account.id);
        let person_id = self.person(v, &row.person, answering);
        let kind = v.term("kind", &row.kind);
        let direction = match row.direction.trim() {
            "" => Some(Direction::Outbound),
            text => v.term("direction", text),
        };
        let outcome = v.term("outcome", &row.outcome);
        let occurred_at = required_past(v, self.ctx, "occurred_at", &row.occurred_at);
        let duration_s = duration(v, &row.duration_s);
        let author_id = self.author(v, &row.author);
        let summary = v.optional("summary", &row.summary, MAX_TEXT);
        let impression = v.optional("impression", &row.impression, MAX_TEXT);
        let note = v.optional("note", &row.note, MAX_TEXT);
        let ((account_id, account), author_id) = (account?, author_id?);
        let id = InteractionId::of_external(&external_id);
        Some(New {
            id: id.0,
            stream: id.0,
            owner: account.holder_at(self.ctx.now),
            command: Command::Log(Box::new(Log {
                id,
                now: self.ctx.now,
                account_id,
                person_id,
                external_id: Some(external_id),
                kind: kind?,
                direction: direction?,
                outcome: outcome?,
                occurred_at,
                duration_s,
                author_id,
                author_group_id: self.ctx.directory().group_of(author_id, occurred_at),
                summary,
                impression,
                note,
                mentioned: Vec::new(),
                completes: None,
                next_step: None,
            })),
        })
    }

    fn person(
        &self,
        v: &mut Violations,
        external_id: &str,
        answering: Option<AccountId>,
    ) -> Option<PersonId> {
        let external_id = v.line("person", external_id, MAX_EXTERNAL_ID);
        if external_id.is_empty() {
            return None;
        }
        let id = PersonId::of_external(&external_id);
        // Without its account the row is refused anyway, and the person cannot be judged.
        if answering.is_some_and(|here| self.persons.get(&id.0) != Some(&here)) {
            v.add("person", "is not a person of this account");
        }
        Some(id)
    }

    /// A manager brings own contacts, a head those of the group, an administrator anybody's, also
    /// of those who have left.
    fn author(&self, v: &mut Violations, external_id: &str) -> Option<StaffId> {
        let external_id = v.line("author", external_id, MAX_EXTERNAL_ID);
        if external_id.is_empty() {
            return Some(self.ctx.staff_id());
        }
        let id = StaffId::of_external(&external_id);
        let known = self.ctx.directory().staff(id).is_some();
        if known && self.ctx.sees().includes(id) {
            return Some(id);
        }
        v.add("author", "is nobody whose contacts the caller may bring");
        None
    }
}

/// Empty is 0: unknown.
fn duration(v: &mut Violations, text: &str) -> i64 {
    let text = text.trim();
    if text.is_empty() {
        return 0;
    }
    let read = text
        .parse::<i64>()
        .map_err(|_| "must be a whole number of seconds");
    let duration_s = v.parsed("duration_s", read).unwrap_or(0);
    if let Some(fault) = duration_fault(duration_s) {
        v.add("duration_s", fault);
    }
    duration_s
}
