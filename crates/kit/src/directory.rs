//! Who works here, who leads whom and who owns which account, as each service keeps it for itself:
//! no service calls another to decide a command.

mod absences;
mod snapshot;
mod view;

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use es_postgres::projection::Reached;
use sqlx::{PgPool, Postgres, QueryBuilder};
use tokio::sync::watch;
use uuid::Uuid;
use vocabulary::{AccountId, StaffId};

pub use absences::AbsenceEntry;
pub use snapshot::{GroupEntry, Membership, Scope, Snapshot, StaffEntry};
pub(crate) use view::DirectoryView;

/// Whose an account is; nobody's when it is in the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountEntry {
    /// Of the one that answers: another than the one asked for when that was merged.
    pub id: AccountId,
    pub owner_id: Option<StaffId>,
    pub claim: Option<ClaimEntry>,
}

/// Who alone may speak with a prospect of the pool, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimEntry {
    pub holder_id: StaffId,
    pub until: DateTime<Utc>,
}

impl AccountEntry {
    /// The claim that holds at this time.
    pub fn claim_at(&self, at: DateTime<Utc>) -> Option<ClaimEntry> {
        self.claim.filter(|claim| at < claim.until)
    }

    /// Whose it is: the owner's, or the one's who has claimed it.
    pub fn holder_at(&self, at: DateTime<Utc>) -> Option<StaffId> {
        let claimed = || self.claim_at(at).map(|claim| claim.holder_id);
        self.owner_id.or_else(claimed)
    }

    /// Whether somebody who sees so much sees it: by its owner, or by who has claimed it.
    pub fn is_visible(&self, scope: &Scope, at: DateTime<Utc>) -> bool {
        scope.includes_owner(self.owner_id)
            || self
                .claim_at(at)
                .is_some_and(|claim| scope.includes(claim.holder_id))
    }
}

/// For SQL: whether one of `staff` owns the account of this column, or the one that it was merged
/// into, or has claimed it. For few rows, each of which is asked for itself.
pub fn add_sees_account(
    sql: &mut QueryBuilder<Postgres>,
    column: &str,
    staff: &[Uuid],
    now: DateTime<Utc>,
) {
    sql.push(
        "exists (
             with recursive link as (
                 select merged_into, owner_id, claim_holder_id, claimed_until
                 from directory.accounts where account_id = ",
    )
    .push(column)
    .push(
        " union all
                 select a.merged_into, a.owner_id, a.claim_holder_id, a.claimed_until
                 from link join directory.accounts a on a.account_id = link.merged_into
             )
             select from link where merged_into is null and (owner_id = any(",
    )
    .push_bind(staff.to_vec())
    .push(") or claim_holder_id = any(")
    .push_bind(staff.to_vec())
    .push(") and claimed_until > ")
    .push_bind(now)
    .push("))");
}

/// Merges of merges of merges: nobody has more.
const LONGEST_CHAIN: usize = 32;

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

    /// Those of the accounts that are known here, by the id asked for.
    pub async fn accounts(
        &self,
        ids: &[AccountId],
    ) -> Result<HashMap<AccountId, AccountEntry>, sqlx::Error> {
        let mut known = HashMap::new();
        // Which id of the chain is looked up for which one asked for.
        let mut asked: Vec<(AccountId, AccountId)> = ids.iter().map(|id| (*id, *id)).collect();
        for _ in 0..LONGEST_CHAIN {
            if asked.is_empty() {
                break;
            }
            let links: Vec<_> = asked.iter().map(|(_, id)| id.0).collect();
            let rows = view::accounts(&self.pool, &links).await?;
            let mut merged = Vec::new();
            for (asked, id) in asked {
                match rows.get(&id) {
                    Some((_, Some(into))) => merged.push((asked, *into)),
                    Some((entry, None)) => {
                        known.insert(asked, *entry);
                    }
                    None => {}
                }
            }
            asked = merged;
        }
        Ok(known)
    }

    /// The same things at the accounts that answer: other ones where these were merged.
    pub async fn answering<K>(
        &self,
        mut accounts: HashMap<K, AccountId>,
    ) -> Result<HashMap<K, AccountId>, sqlx::Error> {
        let ids: Vec<_> = accounts.values().copied().collect();
        let known = self.accounts(&ids).await?;
        for id in accounts.values_mut() {
            *id = known.get(id).map_or(*id, |account| account.id);
        }
        Ok(accounts)
    }

    /// All ids under which an account answers, its own first.
    pub async fn ids_of(&self, id: AccountId) -> Result<Vec<Uuid>, sqlx::Error> {
        view::ids_of(&self.pool, id).await
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
