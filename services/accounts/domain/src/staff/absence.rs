//! An absence: between two instants somebody else acts for who is away. The clock decides whether
//! that is so; the events that say it has begun and ended are written when somebody looks.

use chrono::{DateTime, Utc};
use es::{Personal, Violation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{AbsenceId, StaffId};

use super::{Event, Rejection, subject};

/// Nobody is away longer without it being said again.
const LONGEST: chrono::TimeDelta = chrono::TimeDelta::days(366);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MarkedAbsent {
    pub absence_id: AbsenceId,
    pub substitute_id: StaffId,
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    pub reason: Personal<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SubstitutionStarted {
    pub absence_id: AbsenceId,
    pub substitute_id: StaffId,
    pub started_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SubstitutionEnded {
    pub absence_id: AbsenceId,
    pub substitute_id: StaffId,
    pub ended_at: DateTime<Utc>,
    /// Why it was ended before its time; absent: it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Personal<String>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AbsenceCancelled {
    pub absence_id: AbsenceId,
    pub reason: Personal<String>,
}

/// An absence as it is asked for.
#[derive(Clone)]
pub struct NewAbsence {
    pub id: AbsenceId,
    pub staff_id: StaffId,
    pub substitute_id: StaffId,
    /// Whether the substitute works here, as the directory knows it.
    pub substitute_active: bool,
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    pub reason: String,
}

/// Never the reason: it may be an illness.
impl std::fmt::Debug for NewAbsence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewAbsence({} of {})", self.id, self.staff_id)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Absence {
    pub id: AbsenceId,
    pub substitute_id: StaffId,
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    pub stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Planned,
    Running,
    Over,
}

/// Everything wrong with an absence.
pub fn faults(absence: &NewAbsence, now: DateTime<Utc>) -> Vec<Violation> {
    let mut faults = Vec::new();
    let mut add = |field, fault| faults.push(Violation::new(field, fault));
    if absence.substitute_id == absence.staff_id {
        add("substitute_id", "must be somebody else");
    } else if !absence.substitute_active {
        add("substitute_id", "must be somebody who works here");
    }
    if absence.from < now {
        add("from", "must not be in the past");
    }
    if absence.until <= absence.from {
        add("until", "must be after its beginning");
    } else if absence.until - absence.from > LONGEST {
        add("until", "must be within a year of its beginning");
    }
    faults
}

pub(super) fn mark(
    known: &[Absence],
    new: NewAbsence,
    now: DateTime<Utc>,
) -> Result<Vec<Event>, Rejection> {
    if known.iter().any(|absence| absence.id == new.id) {
        return Ok(Vec::new());
    }
    let faults = faults(&new, now);
    if !faults.is_empty() {
        return Err(Rejection::AbsenceInvalid(faults));
    }
    let meets = |absence: &Absence| {
        absence.stage != Stage::Over && new.from < absence.until && absence.from < new.until
    };
    if known.iter().any(meets) {
        return Err(Rejection::AbsenceOverlaps);
    }
    Ok(vec![Event::MarkedAbsent(MarkedAbsent {
        absence_id: new.id,
        substitute_id: new.substitute_id,
        from: new.from,
        until: new.until,
        reason: Personal::new(subject(new.staff_id), new.reason),
    })])
}

/// Before it has begun it is cancelled, afterwards ended early.
pub(super) fn end(
    known: &[Absence],
    staff_id: StaffId,
    id: AbsenceId,
    reason: String,
    now: DateTime<Utc>,
) -> Result<Vec<Event>, Rejection> {
    let absence = known.iter().find(|absence| absence.id == id);
    let absence = absence.ok_or(Rejection::AbsenceUnknown)?;
    if absence.stage == Stage::Over || now >= absence.until {
        return Ok(turn(absence, now));
    }
    let reason = Personal::new(subject(staff_id), reason);
    if now < absence.from {
        return Ok(vec![Event::AbsenceCancelled(AbsenceCancelled {
            absence_id: id,
            reason,
        })]);
    }
    let mut events = turn(absence, now);
    events.push(ended(absence, now, Some(reason)));
    Ok(events)
}

/// What the clock has made of all of them.
pub(super) fn turn_all(known: &[Absence], now: DateTime<Utc>) -> Vec<Event> {
    known
        .iter()
        .flat_map(|absence| turn(absence, now))
        .collect()
}

fn turn(absence: &Absence, now: DateTime<Utc>) -> Vec<Event> {
    let mut events = Vec::new();
    if absence.stage == Stage::Planned && absence.from <= now {
        events.push(Event::SubstitutionStarted(SubstitutionStarted {
            absence_id: absence.id,
            substitute_id: absence.substitute_id,
            started_at: absence.from,
        }));
    }
    if absence.stage != Stage::Over && absence.until <= now {
        events.push(ended(absence, absence.until, None));
    }
    events
}

fn ended(absence: &Absence, at: DateTime<Utc>, reason: Option<Personal<String>>) -> Event {
    Event::SubstitutionEnded(SubstitutionEnded {
        absence_id: absence.id,
        substitute_id: absence.substitute_id,
        ended_at: at,
        reason,
    })
}

pub(super) fn marked(mut known: Vec<Absence>, event: &MarkedAbsent) -> Vec<Absence> {
    known.push(Absence {
        id: event.absence_id,
        substitute_id: event.substitute_id,
        from: event.from,
        until: event.until,
        stage: Stage::Planned,
    });
    known
}

pub(super) fn at_stage(mut known: Vec<Absence>, id: AbsenceId, stage: Stage) -> Vec<Absence> {
    for absence in known.iter_mut().filter(|absence| absence.id == id) {
        absence.stage = stage;
    }
    known
}

#[cfg(test)]
mod tests;
