//! A reminder of one task for one person.
//!
//! It never moves: when its task does, it is voided and another one is scheduled, so that the
//! ledger says of each what became of it.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use es::{Aggregate, Kind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{AccountId, ReminderId, StaffId, TaskId, derived_id};

/// How long before its task is due a reminder fires.
pub const LEAD: TimeDelta = TimeDelta::minutes(15);
/// A task overdue for longer than this when it becomes known is history, not something to be
/// reminded of: an import of ten years must not flood anybody.
pub const LONG_OVERDUE: TimeDelta = TimeDelta::hours(24);

pub enum Reminder {}

/// The reminder that the event `task_version` of a task calls for.
pub fn reminder_id(task_id: TaskId, task_version: i64) -> ReminderId {
    ReminderId(derived_id("reminder", &format!("{task_id}/{task_version}")))
}

/// When to remind of a task whose deadline became known at `known_at`; `None`: not at all.
pub fn fire_at(due_at: DateTime<Utc>, known_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (known_at - due_at <= LONG_OVERDUE).then(|| (due_at - LEAD).max(known_at))
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// Somebody will be reminded of a task.
    #[serde(rename = "reminder.scheduled")]
    Scheduled {
        task_id: TaskId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account_id: Option<AccountId>,
        staff_id: StaffId,
        due_at: DateTime<Utc>,
        fire_at: DateTime<Utc>,
    },
    /// A reminder is not needed any more.
    #[serde(rename = "reminder.voided")]
    Voided { cause: VoidCause },
    /// A reminder was shown.
    #[serde(rename = "reminder.delivered")]
    Delivered {
        /// Seconds after `fire_at`.
        late_by_s: i64,
    },
    /// A reminder was seen.
    #[serde(rename = "reminder.acknowledged")]
    Acknowledged {},
}

/// What became of the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VoidCause {
    Rescheduled,
    Reassigned,
    Completed,
    Cancelled,
}

impl VoidCause {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rescheduled => "rescheduled",
            Self::Reassigned => "reassigned",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for VoidCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Unknown,
    Known {
        staff_id: StaffId,
        fire_at: DateTime<Utc>,
        stage: Stage,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Scheduled,
    Delivered,
    Voided,
    Acknowledged,
}

impl State {
    fn at(self, next: Stage) -> Self {
        match self {
            Self::Unknown => Self::Unknown,
            Self::Known {
                staff_id, fire_at, ..
            } => Self::Known {
                staff_id,
                fire_at,
                stage: next,
            },
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Schedule {
        task_id: TaskId,
        account_id: Option<AccountId>,
        staff_id: StaffId,
        due_at: DateTime<Utc>,
        fire_at: DateTime<Utc>,
    },
    /// The task is no longer what it was. Nothing to void is fine: not every task has a reminder.
    Void { cause: VoidCause },
    /// May it be shown now? Accepted again after the first time, because a frontend may have lost
    /// it; refused when there is nothing left to show.
    Deliver { at: DateTime<Utc> },
    /// The person has seen it, perhaps in the ledger before its time.
    Acknowledge { by: StaffId },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Also when it is somebody else's: that it exists is private.
    #[error("there is no such reminder")]
    NotFound,
    #[error("the reminder is not due yet")]
    NotDue,
    #[error("the reminder was voided or acknowledged")]
    Over,
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::NotDue | Self::Over => Kind::FailedPrecondition,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::NotFound => "REMINDER_NOT_FOUND",
            Self::NotDue => "REMINDER_NOT_DUE",
            Self::Over => "REMINDER_OVER",
        }
    }
}

impl Aggregate for Reminder {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    const CATEGORY: &'static str = "reminder";

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
        match (command, state) {
            (
                Command::Schedule {
                    task_id,
                    account_id,
                    staff_id,
                    due_at,
                    fire_at,
                },
                State::Unknown,
            ) => Ok(vec![Event::Scheduled {
                task_id,
                account_id,
                staff_id,
                due_at,
                fire_at,
            }]),
            (Command::Schedule { .. }, State::Known { .. })
            | (Command::Void { .. }, State::Unknown) => Ok(Vec::new()),
            (Command::Deliver { .. } | Command::Acknowledge { .. }, State::Unknown) => {
                Err(Rejection::NotFound)
            }
            (Command::Void { cause }, State::Known { stage, .. }) => Ok(match stage {
                Stage::Scheduled | Stage::Delivered => vec![Event::Voided { cause }],
                Stage::Voided | Stage::Acknowledged => Vec::new(),
            }),
            (Command::Deliver { at }, State::Known { fire_at, stage, .. }) => match stage {
                Stage::Voided | Stage::Acknowledged => Err(Rejection::Over),
                Stage::Delivered => Ok(Vec::new()),
                Stage::Scheduled if at < *fire_at => Err(Rejection::NotDue),
                Stage::Scheduled => Ok(vec![Event::Delivered {
                    late_by_s: (at - *fire_at).num_seconds(),
                }]),
            },
            (Command::Acknowledge { by }, State::Known { staff_id, .. }) if by != *staff_id => {
                Err(Rejection::NotFound)
            }
            (Command::Acknowledge { .. }, State::Known { stage, .. }) => Ok(match stage {
                Stage::Scheduled | Stage::Delivered => vec![Event::Acknowledged {}],
                // It will not be shown again, which is all that is asked for.
                Stage::Voided | Stage::Acknowledged => Vec::new(),
            }),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match event {
            Event::Scheduled {
                staff_id, fire_at, ..
            } => State::Known {
                staff_id: *staff_id,
                fire_at: *fire_at,
                stage: Stage::Scheduled,
            },
            Event::Voided { .. } => state.at(Stage::Voided),
            Event::Delivered { .. } => state.at(Stage::Delivered),
            Event::Acknowledged {} => state.at(Stage::Acknowledged),
        }
    }
}

#[cfg(test)]
mod tests {
    use es::spec::given;

    use super::*;

    fn at(time: &str) -> DateTime<Utc> {
        format!("2026-03-20T{time}:00+03:00")
            .parse()
            .expect("a time")
    }

    fn petrov() -> StaffId {
        StaffId::of_external("petrov")
    }

    fn schedule() -> Command {
        Command::Schedule {
            task_id: TaskId::of_external("t-1"),
            account_id: Some(AccountId::of_external("acc-1001")),
            staff_id: petrov(),
            due_at: at("11:00"),
            fire_at: at("10:45"),
        }
    }

    fn scheduled() -> Event {
        Event::Scheduled {
            task_id: TaskId::of_external("t-1"),
            account_id: Some(AccountId::of_external("acc-1001")),
            staff_id: petrov(),
            due_at: at("11:00"),
            fire_at: at("10:45"),
        }
    }

    fn moved() -> Event {
        Event::Voided {
            cause: VoidCause::Rescheduled,
        }
    }

    const ON_TIME: Event = Event::Delivered { late_by_s: 0 };
    const SEEN: Event = Event::Acknowledged {};

    #[test]
    fn it_fires_fifteen_minutes_before_or_at_once() {
        assert_eq!(fire_at(at("11:00"), at("09:50")), Some(at("10:45")));
        assert_eq!(fire_at(at("11:00"), at("10:50")), Some(at("10:50")));
        assert_eq!(fire_at(at("11:00"), at("12:00")), Some(at("12:00")));
    }

    #[test]
    fn nobody_is_reminded_of_history() {
        let due_at = at("11:00");
        let a_day_later = due_at + LONG_OVERDUE;
        assert_eq!(fire_at(due_at, a_day_later), Some(a_day_later));
        assert_eq!(fire_at(due_at, a_day_later + TimeDelta::seconds(1)), None);
    }

    #[test]
    fn scheduling_twice_makes_one() {
        given::<Reminder>([]).when(schedule()).then([scheduled()]);
        given::<Reminder>([scheduled()])
            .when(schedule())
            .then_nothing();
    }

    #[test]
    fn the_first_delivery_says_how_late_it_was() {
        let deliver = |time| Command::Deliver { at: at(time) };
        given::<Reminder>([scheduled()])
            .when(deliver("10:45"))
            .then([ON_TIME]);
        given::<Reminder>([scheduled()])
            .when(deliver("10:55"))
            .then([Event::Delivered { late_by_s: 600 }]);
        given::<Reminder>([scheduled(), ON_TIME])
            .when(deliver("10:50"))
            .then_nothing();
    }

    #[test]
    fn nothing_is_shown_early_or_after_its_end() {
        let deliver = Command::Deliver { at: at("10:45") };
        given::<Reminder>([])
            .when(deliver.clone())
            .then_rejected(Rejection::NotFound);
        given::<Reminder>([scheduled()])
            .when(Command::Deliver { at: at("10:44") })
            .then_rejected(Rejection::NotDue);
        given::<Reminder>([scheduled(), moved()])
            .when(deliver.clone())
            .then_rejected(Rejection::Over);
        given::<Reminder>([scheduled(), SEEN])
            .when(deliver)
            .then_rejected(Rejection::Over);
    }

    #[test]
    fn a_changed_task_voids_what_is_not_yet_seen() {
        let void = Command::Void {
            cause: VoidCause::Rescheduled,
        };
        given::<Reminder>([]).when(void.clone()).then_nothing();
        given::<Reminder>([scheduled()])
            .when(void.clone())
            .then([moved()]);
        given::<Reminder>([scheduled(), ON_TIME])
            .when(void.clone())
            .then([moved()]);
        given::<Reminder>([scheduled(), SEEN])
            .when(void)
            .then_nothing();
    }

    #[test]
    fn only_its_own_person_acknowledges() {
        let by = |who| Command::Acknowledge {
            by: StaffId::of_external(who),
        };
        given::<Reminder>([scheduled(), ON_TIME])
            .when(by("petrov"))
            .then([SEEN]);
        given::<Reminder>([scheduled()])
            .when(by("petrov"))
            .then([SEEN]);
        given::<Reminder>([scheduled(), moved()])
            .when(by("petrov"))
            .then_nothing();
        given::<Reminder>([scheduled(), ON_TIME])
            .when(by("smirnova"))
            .then_rejected(Rejection::NotFound);
        given::<Reminder>([])
            .when(by("petrov"))
            .then_rejected(Rejection::NotFound);
    }
}
