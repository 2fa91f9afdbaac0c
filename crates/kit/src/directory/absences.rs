//! Who is away, and who acts instead.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use es::Recorded;
use es_postgres::projection::ApplyError;
use serde::Deserialize;
use sqlx::{PgConnection, Row};
use uuid::Uuid;
use vocabulary::{AbsenceId, StaffId};

/// From one instant to another; the clock says whether it is so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsenceEntry {
    pub id: AbsenceId,
    pub staff_id: StaffId,
    pub substitute_id: StaffId,
    pub from_at: DateTime<Utc>,
    pub until_at: DateTime<Utc>,
    /// Whether its events have said so: they may come late.
    pub started: bool,
    pub ended: bool,
}

impl AbsenceEntry {
    pub fn holds(&self, at: DateTime<Utc>) -> bool {
        self.from_at <= at && at < self.until_at
    }
}

/// All absences at one moment of the log.
#[derive(Debug, Default)]
pub struct Absences {
    all: Vec<AbsenceEntry>,
    by_staff: HashMap<StaffId, Vec<usize>>,
    by_substitute: HashMap<StaffId, Vec<usize>>,
}

impl Absences {
    pub(super) fn new(all: Vec<AbsenceEntry>) -> Self {
        let mut absences = Self::default();
        for (index, absence) in all.iter().enumerate() {
            let of_staff = absences.by_staff.entry(absence.staff_id);
            of_staff.or_default().push(index);
            let of_substitute = absences.by_substitute.entry(absence.substitute_id);
            of_substitute.or_default().push(index);
        }
        absences.all = all;
        absences
    }

    /// In order of their beginning.
    pub fn all(&self) -> &[AbsenceEntry] {
        &self.all
    }

    pub fn is_away(&self, id: StaffId, at: DateTime<Utc>) -> bool {
        let mut absences = self.named(&self.by_staff, id);
        absences.any(|absence| absence.holds(at))
    }

    /// For whom somebody acts at a time.
    pub(crate) fn of_substitute(
        &self,
        id: StaffId,
        at: DateTime<Utc>,
    ) -> impl Iterator<Item = StaffId> {
        let absences = self.named(&self.by_substitute, id);
        let holding = absences.filter(move |absence| absence.holds(at));
        holding.map(|absence| absence.staff_id)
    }

    /// When somebody begins or ceases to act for another next.
    pub(crate) fn next_turn(&self, id: StaffId, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let absences = self.named(&self.by_substitute, id);
        let turns = absences.flat_map(|absence| [absence.from_at, absence.until_at]);
        turns.filter(|at| *at > after).min()
    }

    fn named<'a>(
        &'a self,
        by: &'a HashMap<StaffId, Vec<usize>>,
        id: StaffId,
    ) -> impl Iterator<Item = &'a AbsenceEntry> {
        let indexes = by.get(&id).into_iter().flatten();
        indexes.filter_map(|index| self.all.get(*index))
    }
}

#[derive(Deserialize)]
struct MarkedAbsent {
    absence_id: Uuid,
    substitute_id: Uuid,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Of {
    absence_id: Uuid,
}

#[derive(Deserialize)]
struct Ended {
    absence_id: Uuid,
    ended_at: DateTime<Utc>,
}

/// True when the event changed who is away.
pub(super) async fn apply_in_tx(
    tx: &mut PgConnection,
    event: &Recorded,
) -> Result<bool, ApplyError> {
    let query = match event.event_type.as_str() {
        "staff.marked_absent" => {
            let absence: MarkedAbsent = event.fields()?;
            sqlx::query(
                "insert into absences (absence_id, staff_id, substitute_id, from_at, until_at)
                 values ($1, $2, $3, $4, $5) on conflict do nothing",
            )
            .bind(absence.absence_id)
            .bind(event.stream.id)
            .bind(absence.substitute_id)
            .bind(absence.from)
            .bind(absence.until)
        }
        "staff.substitution_started" => {
            sqlx::query("update absences set started = true where absence_id = $1")
                .bind(event.fields::<Of>()?.absence_id)
        }
        "staff.substitution_ended" => {
            let Ended {
                absence_id,
                ended_at,
            } = event.fields()?;
            sqlx::query("update absences set ended = true, until_at = $2 where absence_id = $1")
                .bind(absence_id)
                .bind(ended_at)
        }
        "staff.absence_cancelled" => sqlx::query("delete from absences where absence_id = $1")
            .bind(event.fields::<Of>()?.absence_id),
        _ => return Ok(false),
    };
    query.execute(tx).await?;
    Ok(true)
}

/// Who has left is not away.
pub(super) async fn end_all_in_tx(
    tx: &mut PgConnection,
    event: &Recorded,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update absences set started = true, ended = true, until_at = least(until_at, $2)
         where staff_id = $1 and not ended",
    )
    .bind(event.stream.id)
    .bind(event.occurred_at)
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn load(tx: &mut PgConnection) -> Result<Vec<AbsenceEntry>, sqlx::Error> {
    let rows = sqlx::query(
        "select absence_id, staff_id, substitute_id, from_at, until_at, started, ended
         from directory.absences order by from_at, absence_id",
    )
    .fetch_all(tx)
    .await?;
    let entry = |row: &sqlx::postgres::PgRow| {
        Ok(AbsenceEntry {
            id: AbsenceId(row.try_get("absence_id")?),
            staff_id: StaffId(row.try_get("staff_id")?),
            substitute_id: StaffId(row.try_get("substitute_id")?),
            from_at: row.try_get("from_at")?,
            until_at: row.try_get("until_at")?,
            started: row.try_get("started")?,
            ended: row.try_get("ended")?,
        })
    };
    rows.iter().map(entry).collect()
}
