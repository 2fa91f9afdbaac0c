//! What every rule of ours needs when an event makes it act.

use es::{Actor, Recorded, Rejection};
use es_postgres::{
    CommandContext, ExecuteError, LogError,
    projection::{ApplyError, Reaction},
};

use crate::Service;

/// The context of what follows from `event`. Request ids derived from it are the same however
/// often the event is delivered, so that nothing is done twice.
pub fn context<R: Reaction>(service: &Service, event: &Recorded) -> CommandContext {
    CommandContext {
        request_id: Some(event.event_id),
        digest: None,
        actor: Actor::Policy(format!("{}/{}", service.name(), R::NAME)),
        on_behalf_of: None,
        actor_group_id: event.metadata.actor_group_id,
        correlation_id: event.metadata.correlation_id,
        causation_id: Some(event.event_id),
        traceparent: event.metadata.traceparent.clone(),
        now: service.node.clock.now(),
        expected_version: None,
    }
}

/// A refusal of the rules is an answer; everything else is a fault of the delivery.
pub fn settled<T, R: Rejection>(
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
