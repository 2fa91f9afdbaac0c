//! Accounts without a next step (`domain.md`, invariant 6): what is in work either has an open task
//! or is here. What is erased, or in a status that is closed, is not in work.

use api::planning::{
    AccountWithoutNextStep, ListAccountsWithoutNextStepRequest, ListAccountsWithoutNextStepResponse,
};
use kit::{AppError, Ctx, Service, Violations, fingerprint};
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
    let mut rows = page_of(
        service.pool(),
        owners.as_deref(),
        page.after(),
        page.fetch(),
    )
    .await?;
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
        total: count(service.pool(), owners.as_deref()).await?,
    })
}

/// Account and owner. `owners`: only theirs.
async fn page_of(
    pool: &PgPool,
    owners: Option<&[Uuid]>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
    let mut sql = QueryBuilder::new("select a.account_id, a.owner_id");
    add_forgotten(&mut sql, owners);
    if let Some(after) = after {
        sql.push(" and a.account_id > ").push_bind(after);
    }
    sql.push(" order by a.account_id limit ").push_bind(limit);
    sql.build_query_as().fetch_all(pool).await
}

async fn count(pool: &PgPool, owners: Option<&[Uuid]>) -> Result<i64, sqlx::Error> {
    let mut sql = QueryBuilder::new("select count(*)");
    add_forgotten(&mut sql, owners);
    sql.build_query_scalar().fetch_one(pool).await
}

fn add_forgotten(sql: &mut QueryBuilder<Postgres>, owners: Option<&[Uuid]>) {
    sql.push(
        " from directory.accounts a
          where a.owner_id is not null and a.merged_into is null and not exists (
              select from tasks.states s
              where s.account_id = a.account_id and s.valid_to = 'infinity' and s.state = 'open')
          -- Nor at one of the records that were merged into it: asked once, for few are.
          and a.account_id not in (
              with recursive planned (id) as (
                  select m.merged_into from directory.accounts m
                  where m.merged_into is not null and exists (
                      select from tasks.states s
                      where s.account_id = m.account_id and s.valid_to = 'infinity'
                        and s.state = 'open')
                  union
                  select m.merged_into from planned
                  join directory.accounts m on m.account_id = planned.id
                  where m.merged_into is not null
              )
              select id from planned)
          and not exists (
              select from closed.accounts c
              where c.account_id = a.account_id
                and (c.erased or c.status in (select key from closed.statuses)))",
    );
    if let Some(owners) = owners {
        sql.push(" and a.owner_id = any(")
            .push_bind(owners.to_vec())
            .push(")");
    }
}
