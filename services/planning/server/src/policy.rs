//! What every rule of ours needs when an event of another service makes it act.

use chrono::{DateTime, Utc};
use es::{Actor, Recorded, Rejection};
use es_postgres::{CommandContext, ExecuteError, LogError, projection::ApplyError};
use vocabulary::StaffId;

/// The context of what follows from `event`. Request ids derived from it are the same however
/// often the event is delivered, so that nothing is done twice.
pub(crate) fn context(
    policy: &str,
    event: &Recorded,
    on_behalf_of: Option<StaffId>,
    now: DateTime<Utc>,
) -> CommandContext {
    CommandContext {
        request_id: Some(event.event_id),
        digest: None,
        actor: Actor::Policy(format!("planning/{policy}")),
        on_behalf_of: on_behalf_of.map(|id| id.0),
        actor_group_id: event.metadata.actor_group_id,
        correlation_id: event.metadata.correlation_id,
        causation_id: Some(event.event_id),
        traceparent: event.metadata.traceparent.clone(),
        now,
        expected_version: None,
    }
}

/// A refusal of the rules is an answer; everything else is a fault of the delivery.
pub(crate) fn settled<T, R: Rejection>(
    outcome: Result<T, ExecuteError<R>>,
) -> Result<Result<T, R>, ApplyError> {
    match outcome {
        Ok(outcome) => Ok(Ok(outcome)),
        Err(ExecuteError::Rejected(rejection)) => Ok(Err(rejection)),
        // Read a moment before the erasure: read again, it comes without the words.
        Err(ExecuteError::Log(error @ LogError::Erased { .. })) => {
            Err(ApplyError::Transient(error.to_string()))
        }
        Err(ExecuteError::Log(error)) => Err(error.into()),
        // A version conflict is over in a moment; the others cannot happen to a derived id.
        Err(error @ ExecuteError::Stale { .. }) => Err(ApplyError::Transient(error.to_string())),
        Err(error @ (ExecuteError::RequestIdReused | ExecuteError::Taken { .. })) => {
            Err(ApplyError::Poison(error.to_string()))
        }
    }
}
