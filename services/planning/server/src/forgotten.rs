//! Accounts without a next step: what is in work either has an open task or is here. What is open
//! with somebody who does not see the account is no next step: nobody will take it. What is erased,
//! or in a status that is closed, is not in work.

use api::planning::{
    AccountWithoutNextStep, ListAccountsWithoutNextStepRequest, ListAccountsWithoutNextStepResponse,
};
use kit::{AppError, Ctx, Scope, Service, Snapshot, StaffEntry, Violations, fingerprint};
use sqlx::{PgPool, Postgres, QueryBuilder};
use uuid::Uuid;
use vocabulary::StaffId;

pub(crate) async fn list(
    service: &Service,
    ctx: &Ctx,
    request: &ListAccountsWithoutNextStepRequest,
) -> Result<ListAccountsWithoutNextStepResponse, AppError> {
    let mut v = Violations::new();
    let owner_id = v.optional_id::<StaffId>("owner_id", &request.owner_id);
    v.finish()?;
    let page = service.page(
        &request.page,
        fingerprint(&ListAccountsWithoutNextStepRequest {
            page: None,
            min_positions: Vec::new(),
            ..request.clone()
        }),
    )?;
    let owners = match (owner_id, ctx.sees().owners()) {
        (None, seen) => seen,
        (Some(owner), _) if ctx.sees().includes(owner) => Some(vec![owner.0]),
        (Some(_), _) => Some(Vec::new()),
    };
    let forgotten = Forgotten {
        owners,
        sight: Sight::new(&service.directory.snapshot()),
    };
    let mut rows = page_of(service.pool(), &forgotten, page.after(), page.fetch()).await?;
    let next_page_token = page.cut(&mut rows, |(account_id, _)| *account_id);
    let accounts = rows
        .into_iter()
        .map(|(account, owner)| AccountWithoutNextStep {
            account_id: account.to_string(),
            owner_id: owner.to_string(),
        });
    Ok(ListAccountsWithoutNextStepResponse {
        accounts: accounts.collect(),
        next_page_token,
        total: count(service.pool(), &forgotten).await?,
    })
}

/// Who sees whose accounts: staff who see all of them, and of the others each pair.
struct Sight {
    everything: Vec<Uuid>,
    seers: Vec<Uuid>,
    owners: Vec<Uuid>,
}

impl Sight {
    fn new(directory: &Snapshot) -> Self {
        let mut sight = Self {
            everything: Vec::new(),
            seers: Vec::new(),
            owners: Vec::new(),
        };
        for StaffEntry { id, .. } in directory.active_staff() {
            match directory.scope_of(*id) {
                Scope::All => sight.everything.push(id.0),
                Scope::Staff(owners) => {
                    sight.seers.extend(owners.iter().map(|_| id.0));
                    sight.owners.extend(owners.iter().map(|owner| owner.0));
                }
            }
        }
        sight
    }

    /// Whether the assignee of `s` sees what the owner of `a` has.
    fn add_to(&self, sql: &mut QueryBuilder<Postgres>) {
        sql.push("(s.assignee_id = any(")
            .push_bind(self.everything.clone())
            .push(") or (s.assignee_id, a.owner_id) in (select * from unnest(")
            .push_bind(self.seers.clone())
            .push("::uuid[], ")
            .push_bind(self.owners.clone())
            .push("::uuid[])))");
    }
}

struct Forgotten {
    /// Only theirs.
    owners: Option<Vec<Uuid>>,
    sight: Sight,
}

/// Account and owner.
async fn page_of(
    pool: &PgPool,
    forgotten: &Forgotten,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
    let mut sql = QueryBuilder::new("select a.account_id, a.owner_id");
    forgotten.add_to(&mut sql);
    if let Some(after) = after {
        sql.push(" and a.account_id > ").push_bind(after);
    }
    sql.push(" order by a.account_id limit ").push_bind(limit);
    sql.build_query_as().fetch_all(pool).await
}

async fn count(pool: &PgPool, forgotten: &Forgotten) -> Result<i64, sqlx::Error> {
    let mut sql = QueryBuilder::new("select count(*)");
    forgotten.add_to(&mut sql);
    sql.build_query_scalar().fetch_one(pool).await
}

impl Forgotten {
    fn add_to(&self, sql: &mut QueryBuilder<Postgres>) {
        sql.push(
            " from directory.accounts a
              where a.owner_id is not null and a.merged_into is null and not exists (
                  select from tasks.states s
                  where s.account_id = a.account_id and s.valid_to = 'infinity'
                    and s.state = 'open' and ",
        );
        self.sight.add_to(sql);
        // Nor at one of the records that were merged into it: asked once, for few are.
        sql.push(
            ") and a.account_id not in (
                  with recursive planned (id, assignee_id) as (
                      select m.merged_into, s.assignee_id from directory.accounts m
                      join tasks.states s on s.account_id = m.account_id
                      where m.merged_into is not null and s.valid_to = 'infinity'
                        and s.state = 'open'
                      union
                      select m.merged_into, planned.assignee_id from planned
                      join directory.accounts m on m.account_id = planned.id
                      where m.merged_into is not null
                  )
                  select a.account_id from planned s
                  join directory.accounts a on a.account_id = s.id where ",
        );
        self.sight.add_to(sql);
        sql.push(
            ") and not exists (
                  select from closed.accounts c
                  where c.account_id = a.account_id
                    and (c.erased or c.status in (select key from closed.statuses)))",
        );
        if let Some(owners) = &self.owners {
            sql.push(" and a.owner_id = any(")
                .push_bind(owners.clone())
                .push(")");
        }
    }
}
