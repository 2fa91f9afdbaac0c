//! Who works here, who leads whom and who owns which account, as each service keeps it for itself:
//! no service calls another to decide a command.

mod snapshot;
mod view;

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use es_postgres::projection::Reached;
use sqlx::PgPool;
use tokio::sync::watch;
use vocabulary::{AccountId, StaffId};

pub use snapshot::{GroupEntry, Membership, Scope, Snapshot, StaffEntry};
pub(crate) use view::DirectoryView;

/// Whose an account is; nobody's when it is in the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountEntry {
    pub id: AccountId,
    pub owner_id: Option<StaffId>,
}

/// Staff and groups in memory, owners of accounts in the database; clones share them.
#[derive(Clone)]
pub struct Directory {
    pool: PgPool,
    snapshot: Arc<ArcSwap<Snapshot>>,
    /// The position in accounts' log that the snapshot has reached.
    loaded: watch::Sender<i64>,
}

impl Directory {
    /// The view must have been prepared.
    pub(crate) fn new(pool: PgPool) -> Self {
        Self {
            pool,
            snapshot: Arc::default(),
            loaded: watch::Sender::new(0),
        }
    }

    /// Staff and groups as of now; hold it for one call, not longer.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Moves with every change that the snapshot has taken in: position in accounts' log.
    pub fn changed(&self) -> watch::Receiver<i64> {
        self.loaded.subscribe()
    }

    /// Whose the account is; `None` when it is not known here.
    pub async fn account(&self, id: AccountId) -> Result<Option<AccountEntry>, sqlx::Error> {
        Ok(self.accounts(&[id]).await?.remove(&id))
    }

    /// Those of the accounts that are known here.
    pub async fn accounts(
        &self,
        ids: &[AccountId],
    ) -> Result<HashMap<AccountId, AccountEntry>, sqlx::Error> {
        let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
        let rows: Vec<(_, Option<_>)> = sqlx::query_as(
            "select account_id, owner_id from directory.accounts where account_id = any($1)",
        )
        .bind(ids)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|(id, owner)| {
                let id = AccountId(id);
                let owner_id = owner.map(StaffId);
                (id, AccountEntry { id, owner_id })
            })
            .collect())
    }

    pub(crate) async fn reload(&self) -> Result<view::Revision, sqlx::Error> {
        // Read first: what changes in between is loaded twice rather than never.
        let revision = view::revision(&self.pool).await?;
        self.snapshot.store(Arc::new(view::load(&self.pool).await?));
        Ok(revision)
    }

    /// Keeps the snapshot up to date with the view, whichever replica moves it.
    pub(crate) async fn follow(
        self,
        mut reached: watch::Receiver<Reached>,
    ) -> Result<(), sqlx::Error> {
        let mut loaded = self.reload().await?;
        loop {
            let position = reached.borrow_and_update().position;
            if view::revision(&self.pool).await? != loaded {
                loaded = self.reload().await?;
            }
            self.loaded.send_replace(position);
            if reached.changed().await.is_err() {
                return Ok(());
            }
        }
    }
}
