//! Documents of companies and deals, in all their versions.

use std::collections::HashMap;

use accounts_domain::{
    deal::{self, Deal},
    document::{Attached, Document, Event},
};
use chrono::{DateTime, Utc};
use es::Recorded;
use es_postgres::projection::{ApplyError, Projection};
use kit::erasure::CarriedOut;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;
use vocabulary::{DealId, DocumentId};

pub(crate) struct Documents;

/// A version of a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DocumentRow {
    pub(crate) document_id: Uuid,
    pub(crate) version: i32,
    pub(crate) account_id: Uuid,
    pub(crate) deal_id: Option<Uuid>,
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) media_type: String,
    pub(crate) size: i64,
    pub(crate) sha256: String,
    pub(crate) attached_at: DateTime<Utc>,
    pub(crate) attached_by: Option<Uuid>,
    pub(crate) newest: bool,
    /// Its company is forgotten.
    pub(crate) erased: bool,
}

impl DocumentRow {
    pub(crate) fn new(
        attached: &Attached,
        deal_id: Option<DealId>,
        attached_at: DateTime<Utc>,
        attached_by: Option<Uuid>,
    ) -> Self {
        Self {
            document_id: attached.document_id.0,
            version: attached.version.cast_signed(),
            account_id: attached.account_id.0,
            deal_id: deal_id.map(Uuid::from),
            kind: attached.kind.clone(),
            title: attached.title.get().cloned().unwrap_or_default(),
            media_type: attached.media_type.clone(),
            size: attached.size.cast_signed(),
            sha256: attached.sha256.clone(),
            attached_at,
            attached_by,
            newest: true,
            erased: false,
        }
    }

    fn recorded(attached: &Attached, deal_id: Option<DealId>, event: &Recorded) -> Self {
        let by = event.metadata.actor.staff();
        Self::new(attached, deal_id, event.occurred_at, by)
    }
}

impl Projection for Documents {
    const NAME: &'static str = "documents";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const SCHEMA: &'static str = "
        create table if not exists documents (
            document_id uuid not null,
            version integer not null,
            account_id uuid not null,
            deal_id uuid,
            kind text not null,
            title text not null,    -- empty once the company is erased
            media_type text not null,
            size bigint not null,
            sha256 text not null,
            attached_at timestamptz not null,
            attached_by uuid,
            newest boolean not null,
            erased boolean not null,
            primary key (document_id, version)
        );
        create index if not exists documents_of_company
            on documents (account_id, attached_at, document_id, version);
        create index if not exists documents_of_deal
            on documents (deal_id, attached_at, document_id, version) where deal_id is not null;
    ";

    async fn apply(
        &self,
        tx: &mut PgConnection,
        _source: &str,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let mut versions: Vec<DocumentRow> = Vec::new();
        let mut newest: HashMap<Uuid, usize> = HashMap::new();
        let mut erased = Vec::new();
        for recorded in events {
            let row = match recorded.event_type.as_str() {
                "document.attached" => {
                    let Event::Attached(attached) = recorded.decode::<Document>()?;
                    DocumentRow::recorded(&attached, None, recorded)
                }
                "deal.document_attached" => {
                    let deal::Event::DocumentAttached(attached) = recorded.decode::<Deal>()? else {
                        continue;
                    };
                    DocumentRow::recorded(&attached, Some(DealId(recorded.stream.id)), recorded)
                }
                _ => {
                    let done = CarriedOut::read(recorded)?;
                    let subjects = done.map_or_else(Vec::new, |done| done.subjects);
                    erased.extend(subjects.iter().filter_map(|of| of.id(deal::SUBJECT)));
                    continue;
                }
            };
            let before = newest.insert(row.document_id, versions.len());
            if let Some(before) = before.and_then(|index| versions.get_mut(index)) {
                before.newest = false;
            }
            versions.push(row);
        }
        if !versions.is_empty() {
            let ids: Vec<_> = newest.into_keys().collect();
            sqlx::query("update documents set newest = false where document_id = any($1)")
                .bind(ids)
                .execute(&mut *tx)
                .await?;
            sqlx::query(
                "insert into documents select * from jsonb_populate_recordset(null::documents, $1)",
            )
            .bind(Json(versions))
            .execute(&mut *tx)
            .await?;
        }
        // Last: what came after the erasure came without words.
        if !erased.is_empty() {
            sqlx::query(
                "update documents set title = '', erased = true where account_id = any($1)",
            )
            .bind(erased)
            .execute(tx)
            .await?;
        }
        Ok(())
    }
}

/// A version; `None`: the newest one.
pub(crate) async fn find(
    pool: &PgPool,
    id: DocumentId,
    version: Option<i32>,
) -> Result<Option<DocumentRow>, sqlx::Error> {
    let row: Option<Json<DocumentRow>> = sqlx::query_scalar(
        "select to_jsonb(d) from documents.documents d
         where document_id = $1 and case when $2::integer is null then newest else version = $2 end",
    )
    .bind(id.0)
    .bind(version)
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|Json(document)| document))
}

/// What is asked for: of a company under all its ids, or of one of its deals.
pub(crate) struct Wanted {
    pub(crate) account_ids: Vec<Uuid>,
    pub(crate) deal_id: Option<DealId>,
    /// Empty: all.
    pub(crate) kind: String,
    pub(crate) all_versions: bool,
}

/// What the next page comes after.
pub(crate) type PageKey = (DateTime<Utc>, Uuid, i32);

/// Newest first.
pub(crate) async fn page(
    pool: &PgPool,
    wanted: &Wanted,
    after: Option<PageKey>,
    limit: i64,
) -> Result<Vec<DocumentRow>, sqlx::Error> {
    let rows: Vec<Json<DocumentRow>> = sqlx::query_scalar(
        "select to_jsonb(d) from documents.documents d
         where account_id = any($1) and ($2::uuid is null or deal_id = $2)
           and ($3 = '' or kind = $3) and ($4 or newest)
           and ($5::timestamptz is null or (attached_at, document_id, version) < ($5, $6, $7))
         order by attached_at desc, document_id desc, version desc limit $8",
    )
    .bind(&wanted.account_ids)
    .bind(wanted.deal_id.map(Uuid::from))
    .bind(&wanted.kind)
    .bind(wanted.all_versions)
    .bind(after.map(|(at, ..)| at))
    .bind(after.map(|(_, id, _)| id))
    .bind(after.map(|(.., version)| version))
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|Json(document)| document).collect())
}
