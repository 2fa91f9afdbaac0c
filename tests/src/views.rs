//! The views of an office: as its services list them, and as its databases hold them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use api::views::{FollowerKind, ListViewsRequest, views_service_client::ViewsServiceClient};

use crate::{client::SERVICES, office::Office, psql::Psql};

/// Tables of versions that serve: the schema of a view has a note of its DDL.
const TABLES: &str = "select schemaname, tablename from pg_tables
    where schemaname not like '%~%'
      and obj_description(to_regnamespace(quote_ident(schemaname))::oid, 'pg_namespace')
          like 'ddl %'
    order by 1, 2";

/// `contacts/timeline` and all others that are registered. Fails when the databases hold others.
pub async fn registered(office: &Office) -> anyhow::Result<BTreeSet<String>> {
    let admin = office.client("admin")?;
    let mut registered = BTreeSet::new();
    for service in SERVICES {
        let request = ListViewsRequest {
            service: service.to_owned(),
        };
        let mut views = ViewsServiceClient::new(admin.authenticated(service));
        let listed = views.list_views(request).await?.into_inner().views;
        let listed = listed
            .iter()
            .filter(|one| one.kind() == FollowerKind::View)
            .map(|view| format!("{service}/{}", view.name));
        registered.extend(listed);
    }
    let held: BTreeSet<String> = tables(&Psql::new(office)?)?.into_keys().collect();
    ensure!(registered == held, "{registered:?} and in tables {held:?}");
    Ok(registered)
}

/// Tables without a row, as `accounts/orders.payments`.
pub fn empty_tables(office: &Office) -> anyhow::Result<Vec<String>> {
    let psql = Psql::new(office)?;
    let mut empty = Vec::new();
    for (view, tables) in tables(&psql)? {
        let (service, schema) = view.split_once('/').context("a view of a service")?;
        let asked: Vec<String> = tables
            .iter()
            .map(|table| {
                format!(
                    "select '{view}.{table}' where not exists (select from \"{schema}\".\"{table}\")"
                )
            })
            .collect();
        let said = psql.owner(service, &asked.join(" union all "))?;
        empty.extend(said.lines().map(str::to_owned));
    }
    Ok(empty)
}

/// The tables of each view.
fn tables(psql: &Psql) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut tables = BTreeMap::<_, Vec<_>>::new();
    for service in SERVICES {
        for line in psql.owner(service, TABLES)?.lines() {
            let (view, table) = line.split_once('|').context("a schema and a table")?;
            let of_view = tables.entry(format!("{service}/{view}")).or_default();
            of_view.push(table.to_owned());
        }
    }
    Ok(tables)
}
