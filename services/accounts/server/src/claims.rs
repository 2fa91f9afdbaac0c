//! Claims as the log has them: granted, renewed, given up, and over by themselves.
//!
//! The clock decides whether a claim holds, never the event that says it is over: that one only
//! gives the numbers back. The timer writes it, or whoever wants one of the numbers before.

use std::{convert::Infallible, time::Duration};

use accounts_domain::account::{Account, Command, NUMBER, Rejection};
use chrono::{DateTime, Utc};
use es::Actor;
use es_postgres::{CommandContext, ExecuteError, Outcome};
use kit::{AppError, Ctx, Service};
use uuid::Uuid;
use vocabulary::AccountId;

use crate::{
    owners,
    views::{
        claims::{self, Claims},
        companies,
    },
};

/// So often somebody else is faster, and no more.
const ATTEMPTS: usize = 8;
const BATCH: i64 = 500;
/// How long after a try that changed nothing in the view the timer makes the next one.
const AGAIN: Duration = Duration::from_secs(1);

/// Why a card could not be claimed.
#[derive(Debug)]
pub(crate) enum Refusal {
    Rejected(Rejection),
    /// Another card with one of its numbers is under a claim.
    PhoneClaimed {
        until: DateTime<Utc>,
    },
    /// Somebody else owns another card with one of its numbers.
    PhoneOwned,
    Failed(AppError),
}

/// A claim of the caller from now on, on the account or on what that was merged into.
pub(crate) async fn grant(
    service: &Service,
    ctx: &Ctx,
    id: AccountId,
) -> Result<Outcome<Account>, Refusal> {
    let command = Command::Claim {
        by: owners::owner_at(service, ctx.staff_id(), ctx.now),
        now: ctx.now,
        until: ctx.now + service.node.config.prospects.claim,
    };
    let context = ctx.command();
    let mut id = id;
    for _ in 0..ATTEMPTS {
        let log = &service.log;
        if others_own_its_phones(service, ctx, id).await? {
            let first = log.answered(&context).await;
            let first = first.map_err(|error| Refusal::Failed(error.into()))?;
            return first.ok_or(Refusal::PhoneOwned);
        }
        match log
            .execute::<Account>(&context, id.0, command.clone())
            .await
        {
            Ok(outcome) => return Ok(outcome),
            Err(ExecuteError::Rejected(Rejection::Merged { into })) => id = into,
            Err(ExecuteError::Rejected(rejection)) => return Err(Refusal::Rejected(rejection)),
            Err(ExecuteError::Taken { holder, .. }) => {
                let holder = expire(service, AccountId(holder.id), ctx.now).await;
                let holder = holder.map_err(|error| Refusal::Failed(error.into()))?;
                if let Some(claim) = holder.state.claim_at(ctx.now) {
                    return Err(Refusal::PhoneClaimed { until: claim.until });
                }
            }
            Err(error) => return Err(Refusal::Failed(error.into())),
        }
    }
    Err(Refusal::Failed(AppError::Unavailable(
        "a claim was overtaken again and again".to_owned(),
    )))
}

/// Whether somebody else owns a card with a number of this one: nobody else calls there. What was
/// owned a moment ago may be missed, as by a reader of the list.
async fn others_own_its_phones(
    service: &Service,
    ctx: &Ctx,
    id: AccountId,
) -> Result<bool, Refusal> {
    let shared = companies::shares_a_phone_with_others(service.pool(), id, ctx.staff_id()).await;
    shared.map_err(|error| Refusal::Failed(error.into()))
}

impl Refusal {
    pub(crate) fn worded(self, ctx: &Ctx) -> AppError {
        match self {
            Self::Rejected(rejection) => worded(ctx, ExecuteError::Rejected(rejection)),
            Self::PhoneClaimed { until } => AppError::precondition(
                "PHONE_CLAIMED",
                format!("phone claimed until {}", local(ctx, until)),
            ),
            Self::PhoneOwned => AppError::precondition(
                "PHONE_OWNED",
                "somebody else works with a company that has this phone",
            ),
            Self::Failed(error) => error,
        }
    }
}

/// The time at which a claim is over is told as the office reads it.
pub(crate) fn worded(ctx: &Ctx, error: ExecuteError<Rejection>) -> AppError {
    match error {
        // The card is claimed, and gets a number that another claim has locked.
        ExecuteError::Taken { kind, .. } if kind == NUMBER => {
            AppError::precondition("PHONE_CLAIMED", "another card with this phone is claimed")
        }
        ExecuteError::Rejected(Rejection::Claimed { until }) => {
            AppError::precondition("CLAIMED", format!("claimed until {}", local(ctx, until)))
        }
        error => error.into(),
    }
}

fn local(ctx: &Ctx, at: DateTime<Utc>) -> String {
    let zone = ctx.zone();
    let (now, at) = (ctx.now.with_timezone(&zone), at.with_timezone(&zone));
    let time = if at.timestamp() % 60 == 0 {
        "%H:%M"
    } else {
        "%H:%M:%S"
    };
    if now.date_naive() == at.date_naive() {
        at.format(time).to_string()
    } else {
        at.format(&format!("%Y-%m-%d {time}")).to_string()
    }
}

/// Says that the claim on an account is over, if it is.
async fn expire(
    service: &Service,
    id: AccountId,
    now: DateTime<Utc>,
) -> Result<Outcome<Account>, ExecuteError<Rejection>> {
    let command = Command::ExpireClaim { now };
    let context = context(id.0, now);
    service
        .log
        .execute::<Account>(&context, id.0, command)
        .await
}

/// Says of every claim that it is over when it is. Any number of replicas may do so at once, and
/// as late as they like.
pub(crate) async fn expire_all(service: &Service) -> Result<Infallible, AppError> {
    let mut moved = service.view_changed::<Claims>();
    loop {
        let (pool, clock) = (service.pool(), &service.node.clock);
        let now = clock.now();
        let overdue = claims::overdue(pool, now, BATCH).await?;
        if overdue.is_empty() {
            let next = claims::next_end(pool).await?;
            let over = async {
                match next {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = over => {}
                _ = moved.changed() => {}
            }
            continue;
        }
        let commands = overdue
            .into_iter()
            .map(|id| (context(id.0, now), id.0, Command::ExpireClaim { now }));
        moved.mark_unchanged();
        let outcomes = service.log.execute_many::<Account>(commands.collect());
        for outcome in outcomes.await {
            if let Err(error) = outcome {
                tracing::warn!(%error, "a claim could not be ended");
            }
        }
        // The view has them in a moment. One that it cannot show must not keep us busy.
        let _ = tokio::time::timeout(AGAIN, moved.changed()).await;
    }
}

/// No request id: whether a claim is over is asked anew each time.
fn context(correlation_id: Uuid, now: DateTime<Utc>) -> CommandContext {
    CommandContext {
        request_id: None,
        digest: None,
        actor: Actor::Policy("accounts/claims".to_owned()),
        on_behalf_of: None,
        actor_group_id: None,
        correlation_id,
        causation_id: None,
        traceparent: None,
        now,
        expected_version: None,
    }
}
