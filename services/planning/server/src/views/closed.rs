//! With which accounts nobody works any more: they are in a status that says so, or erased.

use std::collections::HashMap;

use es::Recorded;
use es_postgres::projection::{ApplyError, Projection};
use serde::Deserialize;
use sqlx::PgConnection;
use uuid::Uuid;

pub(crate) struct ClosedView;

#[derive(Deserialize)]
struct Registered {
    status: Option<String>,
}

#[derive(Deserialize)]
struct StatusChanged {
    to: String,
}

#[derive(Deserialize)]
struct EntriesPublished {
    list: String,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    key: String,
    #[serde(default)]
    closed: bool,
}

/// What a batch says last of an account.
#[derive(Default)]
struct Said {
    status: Option<String>,
    erased: bool,
}

impl Projection for ClosedView {
    const NAME: &'static str = "closed";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const BY_STREAM: bool = true;
    const PERSONAL: bool = false;
    const SCHEMA: &'static str = "
        create table if not exists accounts (
            account_id uuid primary key,
            status     text,
            erased     boolean not null
        );
        -- Of the statuses those in which nobody works with an account.
        create table if not exists statuses (
            key text primary key
        );
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let mut accounts: HashMap<Uuid, Said> = HashMap::new();
        for event in events {
            let id = event.stream.id;
            match event.event_type.as_str() {
                "account.prospect_registered" => {
                    if let Some(status) = event.fields::<Registered>()?.status {
                        accounts.entry(id).or_default().status = Some(status);
                    }
                }
                "account.status_changed" => {
                    let StatusChanged { to } = event.fields()?;
                    accounts.entry(id).or_default().status = Some(to);
                }
                "account.erased" => accounts.entry(id).or_default().erased = true,
                "catalogue.entries_published" => {
                    let published: EntriesPublished = event.fields()?;
                    if published.list == "status" {
                        statuses_in_tx(tx, published.entries).await?;
                    }
                }
                _ => {}
            }
        }
        accounts_in_tx(tx, accounts).await
    }
}

async fn statuses_in_tx(tx: &mut PgConnection, entries: Vec<Entry>) -> Result<(), ApplyError> {
    for entry in entries {
        let change = if entry.closed {
            "insert into statuses (key) values ($1) on conflict do nothing"
        } else {
            "delete from statuses where key = $1"
        };
        sqlx::query(change)
            .bind(entry.key)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

async fn accounts_in_tx(
    tx: &mut PgConnection,
    accounts: HashMap<Uuid, Said>,
) -> Result<(), ApplyError> {
    if accounts.is_empty() {
        return Ok(());
    }
    let (ids, said): (Vec<_>, Vec<_>) = accounts.into_iter().unzip();
    let (statuses, erased): (Vec<_>, Vec<_>) = said
        .into_iter()
        .map(|said| (said.status, said.erased))
        .unzip();
    sqlx::query(
        "insert into accounts as known (account_id, status, erased)
         select * from unnest($1::uuid[], $2::text[], $3::boolean[])
         on conflict (account_id) do update
         set status = coalesce(excluded.status, known.status),
             erased = excluded.erased or known.erased",
    )
    .bind(ids)
    .bind(statuses)
    .bind(erased)
    .execute(tx)
    .await?;
    Ok(())
}
