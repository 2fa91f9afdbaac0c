//! Ids and value types that all services share. Pure; each type refuses what it cannot mean.

mod email;
mod ids;
mod money;
mod next_step;
mod period;
mod phone;
mod terms;
mod text;

pub use email::{Email, InvalidEmail};
pub use ids::{
    AbsenceId, AccountId, DealId, DocumentId, GroupId, ImportId, InteractionId, OrderId, PaymentId,
    PersonId, PipelineId, ProspectListId, ReminderId, SavedViewId, ShipmentId, StaffId, TaskId,
    TransferId, WebhookId, derived_id,
};
pub use money::{InvalidMoney, Money};
pub use next_step::{Deadline, InvalidDeadline, NextStep, next_step_faults};
pub use period::{InvalidPeriod, Period, is_of_our_time, parse_instant};
pub use phone::{InvalidPhone, PhoneNumber};
pub use terms::{Direction, ErasureGround, InteractionKind, Outcome, Role, TaskKind, UnknownTerm};
pub use text::{fold_for_parts, fold_for_search, normalise};
