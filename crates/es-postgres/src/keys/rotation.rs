//! Wrapping all data keys of a log with the master key in use, while the log is in use.

use std::collections::BTreeMap;

use sqlx::PgPool;

use super::{
    KeyId, MasterKeys,
    master::{NAMED_LENGTH, UNNAMED_LENGTH},
};
use crate::{LogError, retry};

const PAGE: i64 = 500;

/// How many data keys of a log are wrapped by which master key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// `None`: by one that the key does not name, as it was before master keys had ids.
    pub wrapped: BTreeMap<Option<KeyId>, i64>,
    /// Those of texts about several people, wrapped by the keys of these.
    pub texts: i64,
    pub destroyed: i64,
}

/// Counts them.
pub async fn census(pool: &PgPool) -> Result<Census, LogError> {
    let rows: Vec<(Option<i32>, Option<Vec<u8>>, i64)> = retry::read(|| {
        sqlx::query_as(
            "select octet_length(wrapped),
                    case octet_length(wrapped) when $1 then substring(wrapped from 2 for 8) end,
                    count(*)
             from log.keys group by 1, 2",
        )
        .bind(NAMED_LENGTH as i32)
        .fetch_all(pool)
    })
    .await?;
    let mut census = Census::default();
    for (length, id, count) in rows {
        match (length, id) {
            (None, _) => census.destroyed += count,
            (Some(_), Some(id)) => {
                let id = <[u8; 8]>::try_from(id.as_slice()).ok().map(KeyId);
                *census.wrapped.entry(id).or_default() += count;
            }
            (Some(length), None) if length == UNNAMED_LENGTH as i32 => {
                *census.wrapped.entry(None).or_default() += count;
            }
            (Some(_), None) => census.texts += count,
        }
    }
    Ok(census)
}

impl Census {
    /// How many are wrapped by another master key than this one.
    pub fn left_of(&self, current: KeyId) -> i64 {
        let others = self.wrapped.iter().filter(|(id, _)| **id != Some(current));
        others.map(|(_, count)| count).sum()
    }
}

/// Lets a service start with the master key in use. Before the first key is wrapped by it.
pub async fn note(pool: &PgPool, master: &MasterKeys) -> Result<(), LogError> {
    let (check_value, _) = in_use(master)?;
    sqlx::query("insert into log.master_keys (check_value) values ($1) on conflict do nothing")
        .bind(&check_value[..])
        .execute(pool)
        .await?;
    Ok(())
}

/// From here on no service starts without the master key in use. Refused as long as another one
/// wraps a key.
pub async fn settle(pool: &PgPool, master: &MasterKeys) -> Result<(), LogError> {
    let (check_value, id) = in_use(master)?;
    sqlx::query("select log.settle_master_key($1, $2)")
        .bind(&check_value[..])
        .bind(id.0.as_slice())
        .execute(pool)
        .await?;
    Ok(())
}

fn in_use(master: &MasterKeys) -> Result<([u8; 32], KeyId), LogError> {
    let check_value = master.check_values().into_iter().next();
    check_value
        .zip(master.current())
        .ok_or(LogError::Invalid("no master key"))
}

/// Wraps with the master key in use whatever another one wraps, page by page. Interrupted, it goes
/// on where it was. A key that is destroyed meanwhile stays destroyed. Gives how many there were.
pub async fn rewrap(
    pool: &PgPool,
    master: &MasterKeys,
    mut progress: impl FnMut(u64),
) -> Result<u64, LogError> {
    let current = master.current().ok_or(LogError::Invalid("no master key"))?;
    let mut after = String::new();
    let mut done = 0;
    loop {
        let page: Vec<(String, Vec<u8>)> = retry::read(|| {
            sqlx::query_as(
                "select subject, wrapped from log.keys
                 where subject > $1 and (octet_length(wrapped) = $2
                    or octet_length(wrapped) = $3 and substring(wrapped from 2 for 8) <> $4)
                 order by subject limit $5",
            )
            .bind(&after)
            .bind(UNNAMED_LENGTH as i32)
            .bind(NAMED_LENGTH as i32)
            .bind(current.0.as_slice())
            .bind(PAGE)
            .fetch_all(pool)
        })
        .await?;
        let Some((last, _)) = page.last() else {
            return Ok(done);
        };
        after.clone_from(last);
        let (subjects, old): (Vec<_>, Vec<_>) = page.into_iter().unzip();
        let new = subjects.iter().zip(&old).map(|(subject, wrapped)| {
            let key = master.unwrap(subject, wrapped)?;
            master.wrap(subject, &key)
        });
        let new = new.collect::<Result<Vec<_>, LogError>>()?;
        retry::read(|| {
            // Compared with what was read: this must never bring a destroyed key back.
            sqlx::query(
                "update log.keys k set wrapped = r.new
                 from unnest($1::text[], $2::bytea[], $3::bytea[]) as r (subject, old, new)
                 where k.subject = r.subject and k.wrapped = r.old",
            )
            .bind(&subjects)
            .bind(&old)
            .bind(&new)
            .execute(pool)
        })
        .await?;
        done += subjects.len() as u64;
        progress(done);
    }
}
