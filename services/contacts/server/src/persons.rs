//! Who of the persons a caller may speak of.

use contacts_domain::{Person, person::State};
use kit::{AppError, Ctx, Service};
use vocabulary::{AccountId, PersonId};

/// A person at an account that the caller sees; everybody else does not exist for the caller.
pub(crate) struct Visible {
    pub(crate) id: PersonId,
    pub(crate) account_id: AccountId,
    pub(crate) state: State,
}

pub(crate) async fn visible(
    service: &Service,
    ctx: &Ctx,
    id: Option<PersonId>,
) -> Result<Visible, AppError> {
    let absent = || AppError::NotFound { what: "person" };
    let id = id.ok_or_else(absent)?;
    // From the log, not from the view: it may have been added a moment ago.
    let state = service.log.load::<Person>(id.0).await?.state;
    let account_id = state.account_id().ok_or_else(absent)?;
    service.visible_account(ctx, account_id).await?;
    Ok(Visible {
        id,
        account_id,
        state,
    })
}
