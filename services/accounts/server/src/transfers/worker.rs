//! Carries hand-overs on, a few accounts of each in turn. Each account is a command of its own under
//! an id that follows from the hand-over's, so whatever broke off goes on where it stopped.

use std::time::Duration;

use accounts_domain::{
    account::{self, Account},
    transfer::{Command, Kept, Move, Transfer},
};
use es::{Actor, Recorded, Rejection as _};
use es_postgres::{CommandContext, ExecuteError};
use kill_point::kill_point;
use kit::{AppError, Service, Term};
use vocabulary::{AccountId, StaffId, TransferId};

use super::plan;
use crate::{
    owners,
    views::transfers::{self, Row, Transfers},
    wire::caught_up,
};

/// Accounts of one step of a small hand-over: few, so that every one has its turn soon, and after a
/// crash so many are asked again at most.
const STEP: usize = 19;
/// Into so many steps a large one is divided, as each costs a look at the whole of it; and after so
/// many of each it is looked whether there are further hand-overs.
const STEPS: usize = 8;
/// In case the view moves without our hearing of it.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_secs(1);

/// For as long as this replica leads.
pub(crate) async fn run(service: Service, term: Term) {
    let work = async {
        loop {
            if let Err(error) = carry_on(&service).await {
                tracing::warn!(%error, "hand-overs wait");
                tokio::time::sleep(PAUSE).await;
            }
        }
    };
    term.over.run_until_cancelled(work).await;
}

/// Some steps of each that is not done; else waits for a new one.
async fn carry_on(service: &Service) -> Result<(), AppError> {
    let mut moved = service.view_changed::<Transfers>();
    moved.mark_unchanged();
    let mut open = transfers::unmoved(service.pool()).await?;
    if open.is_empty() {
        // Neither the time being over nor the end of the process changes what is asked.
        let _ = tokio::time::timeout(LOOK_AGAIN, moved.changed()).await;
        return Ok(());
    }
    // Who receives, as of now. Nobody is dismissed while accounts are to come.
    service.catch_up().await?;
    let mut failed = Ok(());
    // Not after each step is the view asked whether there is more: it may be far behind.
    for _ in 0..STEPS {
        let mut unfinished = Vec::new();
        for row in open {
            match step(service, &row).await {
                Ok(true) => unfinished.push(row),
                Ok(false) => {}
                // One that has to wait holds up no other.
                Err(error) => failed = Err(error),
            }
        }
        open = unfinished;
    }
    caught_up(service).await?;
    failed
}

/// Whether there is more to do.
async fn step(service: &Service, row: &Row) -> Result<bool, AppError> {
    let id = TransferId(row.transfer_id);
    let state = service.log.load::<Transfer>(id.0).await?.state;
    let planned = usize::try_from(state.planned()).unwrap_or(usize::MAX);
    let next = state.next(STEP.max(planned / STEPS));
    let (Some(plan), false) = (&state.plan, next.is_empty()) else {
        return Ok(false);
    };
    let started = service.log.read(row.started_position - 1, 1).await?;
    let Some(started) = started.first() else {
        return Err(AppError::Internal("a hand-over without a plan".to_owned()));
    };
    let (going, mut kept) = part(service, next).await?;
    let context = context(service, id, started);
    let reason = plan.reason.get().cloned().unwrap_or_default();
    let commands = going.iter().map(|one| {
        let command = account::Command::Transfer {
            id: one.account_id,
            from: Some(one.from),
            to: owners::owner_at(service, one.to, context.now),
            reason: reason.clone(),
            transfer_id: id,
        };
        let context = context.derive(&one.account_id.to_string());
        (context, one.account_id.0, command)
    });
    let commands = commands.collect();
    let outcomes = service.log.execute_many::<Account>(commands).await;
    kill_point!("transfer.accounts_moved");
    let mut moved = Vec::new();
    for (one, outcome) in going.iter().zip(outcomes) {
        match outcome {
            Ok(outcome) if outcome.events.is_empty() => {
                kept.push(stays(one, plan::THERE_ALREADY));
            }
            Ok(_) => moved.push(one.account_id),
            Err(ExecuteError::Rejected(rejection)) => kept.push(stays(one, rejection.reason())),
            // Not this account's fault: what is done is done, and the rest comes again.
            Err(error) => return Err(error.into()),
        }
    }
    let command = Command::Advance {
        after: state.handled,
        moved,
        kept,
    };
    let context = CommandContext {
        actor: Actor::Policy("accounts/transfers".to_owned()),
        ..context.derive(&format!("advance/{}", state.handled))
    };
    let log = &service.log;
    log.execute::<Transfer>(&context, id.0, command).await?;
    kill_point!("transfer.advanced");
    Ok(true)
}

/// What goes, and what stays because its receiver was dismissed or became somebody who owns nothing
/// since it was planned.
async fn part(service: &Service, next: Vec<Move>) -> Result<(Vec<Move>, Vec<Kept>), AppError> {
    let directory = service.directory.snapshot();
    let (mut going, mut kept) = (Vec::new(), Vec::new());
    for one in next {
        let fit = directory.staff(one.to).is_some_and(owners::can_own);
        // What went there before a step broke off has gone.
        if fit || owner(service, one.account_id).await? == Some(one.to) {
            going.push(one);
        } else {
            kept.push(stays(&one, plan::CANNOT_OWN));
        }
    }
    Ok((going, kept))
}

async fn owner(service: &Service, id: AccountId) -> Result<Option<StaffId>, AppError> {
    Ok(service.log.load::<Account>(id.0).await?.state.owner_id)
}

fn stays(one: &Move, reason: &str) -> Kept {
    Kept {
        account_id: one.account_id,
        reason: reason.to_owned(),
    }
}

/// Whoever has begun it hands over, whenever it is carried out.
fn context(service: &Service, id: TransferId, started: &Recorded) -> CommandContext {
    let metadata = &started.metadata;
    CommandContext {
        request_id: Some(id.0),
        digest: None,
        actor: metadata.actor.clone(),
        on_behalf_of: metadata.on_behalf_of,
        actor_group_id: metadata.actor_group_id,
        correlation_id: metadata.correlation_id,
        causation_id: started.request_id.or(Some(started.event_id)),
        traceparent: metadata.traceparent.clone(),
        now: service.node.clock.now(),
        expected_version: None,
    }
}
