//! When a log was restored from a backup: what of it a cursor has seen is still there?

use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::{
    Source,
    cursor::{self, Cursor},
    runner::{Loses, Runner, Stop},
};
use crate::{Life, life::common};

/// A range of events that a reaction had reacted to and its log has lost.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Lost {
    pub name: String,
    pub source: String,
    pub epoch: Uuid,
    pub first_position: i64,
    pub last_position: i64,
}

impl Lost {
    /// All of a service.
    pub async fn all(pool: &PgPool) -> Result<Vec<Self>, sqlx::Error> {
        sqlx::query_as(
            "select name, source, epoch, first_position, last_position
             from views.lost order by noticed_at",
        )
        .fetch_all(pool)
        .await
    }
}

impl<S: Source> Runner<S> {
    /// Goes over to the newest life of the log, where nothing is lost by it. A view that holds
    /// events which the log has lost ends here; a reaction goes back to what is left, and what it
    /// had reacted to behind that is listed.
    pub(super) async fn change_life(&mut self, lives: &[Life]) -> Result<(), Stop> {
        let cursor = &self.place.cursor;
        let (Some(newest), Some(epoch)) = (lives.last(), cursor.epoch) else {
            return self.pause(&"the log does not tell its lives").await;
        };
        let left = match (common(lives, epoch), self.seat.loses) {
            (Some(left), _) => left,
            // Of a life that the log does not remember nothing is sure. A reaction must not begin
            // anew, though: its effects are there.
            (None, Loses::View) => 0,
            (None, Loses::Effects) => newest.first_position - 1,
        };
        loop {
            let left = left.min(self.place.cursor.position);
            let changed = if left < self.place.cursor.position && self.seat.loses == Loses::View {
                let (name, place) = (&self.seat.name, &self.place);
                cursor::mark_stale(&self.pool, name, self.service, place, left).await
            } else {
                self.adopt(newest, left).await
            };
            match changed {
                // By us or, a moment before, by another replica.
                Ok(_) => return self.reload().await,
                Err(error) => self.pause(&error).await?,
            }
        }
    }

    async fn adopt(&mut self, newest: &Life, left: i64) -> Result<bool, sqlx::Error> {
        let (name, service) = (self.seat.name.as_str(), self.service);
        let from = &self.place.cursor;
        let to = Cursor {
            epoch: Some(newest.epoch),
            position: left,
            hash: from.hash.clone().filter(|_| left == from.position),
        };
        let mut tx = self.pool.begin().await?;
        if !cursor::advance_in_tx(&mut tx, name, service, &self.place, &to).await? {
            return Ok(false);
        }
        if left < from.position {
            sqlx::query(
                "insert into views.lost
                     (name, source, epoch, first_position, last_position, noticed_at)
                 values ($1, $2, $3, $4, $5, now())",
            )
            .bind(name)
            .bind(service)
            .bind(from.epoch)
            .bind(left + 1)
            .bind(from.position)
            .execute(&mut *tx)
            .await?;
            sqlx::query(
                "delete from views.parked where name = $1 and source = $2 and position > $3",
            )
            .bind(name)
            .bind(service)
            .bind(left)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        tracing::warn!(
            view = name,
            source = service,
            position = left,
            "goes on in another life of the log"
        );
        if left < from.position {
            tracing::error!(
                view = name,
                source = service,
                first = left + 1,
                last = from.position,
                "had reacted to events that the log has lost: their effects stay"
            );
        }
        self.head = 0;
        Ok(true)
    }
}
