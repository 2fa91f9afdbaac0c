//! What is to be done with the versions of a view: asked for by an operator, carried out by the
//! leader, and kept in the database so that whoever leads next carries on.

use std::collections::BTreeMap;

use sqlx::{FromRow, PgPool, types::Json};

use super::Version;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A new version is built; once it has caught up it takes the place of the live one.
    Building,
    /// A new version is built and held against the live one.
    Checking,
    /// The outcome of that is there. A former version is kept up to date as before.
    Checked,
    /// The former version takes its place back.
    Returning,
    /// The former version is kept up to date, for the way back.
    Kept,
    /// What is being built goes; when nothing is, the former version.
    Discarding,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Checking => "checking",
            Self::Checked => "checked",
            Self::Returning => "returning",
            Self::Kept => "kept",
            Self::Discarding => "discarding",
        }
    }

    /// From which states an operator may ask for this one.
    fn follows(self) -> Vec<&'static str> {
        let states = match self {
            Self::Building | Self::Checking => [Self::Kept, Self::Checked].as_slice(),
            Self::Returning => &[Self::Kept, Self::Checked],
            Self::Discarding => &[
                Self::Building,
                Self::Checking,
                Self::Checked,
                Self::Returning,
                Self::Kept,
            ],
            Self::Checked | Self::Kept => &[],
        };
        states.iter().map(|state| state.as_str()).collect()
    }
}

impl TryFrom<String> for State {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let all = [
            Self::Building,
            Self::Checking,
            Self::Checked,
            Self::Returning,
            Self::Kept,
            Self::Discarding,
        ];
        all.into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("no state {text}"))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Rebuild {
    pub name: String,
    #[sqlx(try_from = "String")]
    pub state: State,
    pub workers: i32,
    pub reason: String,
    /// Of a check: what differs, or nothing.
    pub outcome: String,
}

impl Rebuild {
    pub async fn all(pool: &PgPool) -> Result<Vec<Self>, sqlx::Error> {
        sqlx::query_as("select name, state, workers, reason, outcome from views.rebuilds")
            .fetch_all(pool)
            .await
    }

    pub async fn of(pool: &PgPool, view: &str) -> Result<Option<Self>, sqlx::Error> {
        sqlx::query_as(
            "select name, state, workers, reason, outcome from views.rebuilds where name = $1",
        )
        .bind(view)
        .fetch_optional(pool)
        .await
    }

    /// Asks for a state. False: it cannot follow the present one.
    pub async fn ask(
        pool: &PgPool,
        view: &str,
        state: State,
        workers: u32,
        reason: &str,
    ) -> Result<bool, sqlx::Error> {
        if state == State::Returning && !Version::Former.exists(pool, view).await? {
            return Ok(false);
        }
        let begins = matches!(state, State::Building | State::Checking);
        let statement = if begins {
            "insert into views.rebuilds as old (name, state, workers, reason)
             values ($1, $2, $3, $4)
             on conflict (name) do update
             set state = $2, workers = $3, reason = $4, targets = null, outcome = '',
                 changed_at = now()
             where old.state = any($5)"
        } else {
            "update views.rebuilds
             set state = $2, workers = $3, reason = $4, changed_at = now()
             where name = $1 and state = any($5)"
        };
        let asked = sqlx::query(statement)
            .bind(view)
            .bind(state.as_str())
            .bind(workers as i32)
            .bind(reason)
            .bind(state.follows())
            .execute(pool)
            .await?;
        Ok(asked.rows_affected() == 1)
    }

    /// What is left when something is over: the former version, if it is still there.
    pub async fn settle(pool: &PgPool, view: &str) -> Result<(), sqlx::Error> {
        let statement = if Version::Former.exists(pool, view).await? {
            "update views.rebuilds set state = 'kept', changed_at = now() where name = $1"
        } else {
            "delete from views.rebuilds where name = $1"
        };
        sqlx::query(statement).bind(view).execute(pool).await?;
        Ok(())
    }

    /// Notes what a check found.
    pub async fn conclude(pool: &PgPool, view: &str, outcome: &str) -> Result<(), sqlx::Error> {
        sqlx::query(
            "update views.rebuilds set state = 'checked', outcome = $2, changed_at = now()
             where name = $1 and state = 'checking'",
        )
        .bind(view)
        .bind(outcome)
        .execute(pool)
        .await?;
        Ok(())
    }
}

/// By source.
pub(super) type Targets = BTreeMap<String, i64>;

/// How far the workers share the logs: as it was set first, so that a leader that carries on does
/// not move it.
pub(super) async fn targets(
    pool: &PgPool,
    view: &str,
    heads: Targets,
) -> Result<Targets, sqlx::Error> {
    let Json(targets) = sqlx::query_scalar(
        "update views.rebuilds set targets = coalesce(targets, $2) where name = $1
         returning targets",
    )
    .bind(view)
    .bind(Json(heads))
    .fetch_one(pool)
    .await?;
    Ok(targets)
}
