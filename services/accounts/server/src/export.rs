//! Lists of companies for spreadsheets: recorded first, then handed out row by row.

mod columns;

use std::collections::BTreeMap;

use api::{
    accounts::{
        self as pb, ExportAccountsRequest, ExportAccountsResponse, ListAccountsRequest,
        ListCardExportsRequest, ListCardExportsResponse, export_service_server::ExportService,
    },
    common,
};
use kit::{
    AppError, CardList, Ctx, Sender, Service, StreamEnd, Streaming, Violations, fingerprint,
    stream, timestamp,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    access,
    accounts::{filter, persons},
    catalogue::Current,
    views::{
        companies::{self, Filter},
        exports::{self, CardExport},
    },
    wire::id_text,
};
use columns::Columns;
pub use columns::TITLES;

pub(crate) struct Handlers {
    service: Service,
    catalogue: Current,
}

/// A list and how its rows are read.
struct Companies {
    service: Service,
    columns: Columns,
    filter: Filter,
}

impl Handlers {
    pub(crate) fn new(service: &Service, catalogue: &Current) -> Self {
        Self {
            service: service.clone(),
            catalogue: catalogue.clone(),
        }
    }

    async fn record(
        &self,
        ctx: &Ctx,
        req: ExportAccountsRequest,
    ) -> Result<(CardList, Companies), AppError> {
        let mut v = Violations::new();
        let format = v.sheet_format("format", req.format);
        let language = v.sheet_language("language", &req.language);
        let wanted = req.filter.unwrap_or_default();
        self.service
            .views
            .reached(&wanted.min_positions, ctx.remaining())
            .await?;
        let known = self.catalogue.get().await?;
        let mut filter = v.within("filter", |v| filter(v, ctx, &known, &wanted));
        v.finish()?;
        persons::find(&self.service, &mut filter, "filter.contact_person", &wanted).await?;
        let ids = companies::ids(self.service.pool(), &filter).await?;
        let form = (format, language);
        let chosen_by = recorded_filter(&wanted);
        let list = CardList::record(&self.service, ctx, "accounts", form, chosen_by, ids).await?;
        let companies = Companies {
            service: self.service.clone(),
            columns: Columns::new(ctx, known, language),
            filter,
        };
        Ok((list, companies))
    }

    async fn exports(
        &self,
        ctx: &Ctx,
        mut req: ListCardExportsRequest,
    ) -> Result<ListCardExportsResponse, AppError> {
        let mut v = Violations::new();
        let staff_id = v.optional_id("staff_id", &req.staff_id);
        let period = v.period(&req.period, &ctx.zone());
        v.finish()?;
        let page_request = req.page.take();
        req.min_positions.clear();
        let page = self.service.page(&page_request, fingerprint(&req))?;
        let staff = access::seen(ctx, staff_id);
        let pool = self.service.pool();
        let mut rows = exports::page(pool, staff, period, page.after(), page.fetch()).await?;
        let next_page_token = page.cut(&mut rows, CardExport::key);
        Ok(ListCardExportsResponse {
            exports: rows.into_iter().map(export).collect(),
            next_page_token,
        })
    }
}

fn recorded_filter(wanted: &ListAccountsRequest) -> BTreeMap<String, String> {
    // That it was asked for, not what: it may be a name or a telephone.
    let typed = |text: &str| {
        if text.trim().is_empty() {
            String::new()
        } else {
            "…".to_owned()
        }
    };
    let lifecycle = match wanted.lifecycle() {
        pb::Lifecycle::Unspecified => "",
        pb::Lifecycle::Prospect => "prospect",
        pb::Lifecycle::Client => "client",
    };
    let custom: Vec<_> = wanted
        .custom
        .iter()
        .map(|value| value.key.as_str())
        .collect();
    let given = [
        ("lifecycle", lifecycle.to_owned()),
        ("contact_person", typed(&wanted.contact_person)),
        ("query", typed(&wanted.query)),
        ("owner_id", wanted.owner_id.clone()),
        (
            "in_pool",
            if wanted.in_pool { "true" } else { "" }.to_owned(),
        ),
        ("city", typed(&wanted.city)),
        ("region", typed(&wanted.region)),
        ("type", typed(&wanted.r#type)),
        ("address", typed(&wanted.address)),
        ("project", typed(&wanted.project)),
        ("last_outcome", wanted.last_outcome.trim().to_owned()),
        ("status", wanted.status.clone()),
        ("source", wanted.source.clone()),
        ("rubrics", wanted.rubrics.join(", ")),
        ("custom", custom.join(", ")),
    ];
    given
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

impl Companies {
    async fn send(
        self,
        list: CardList,
        sender: Sender<ExportAccountsResponse>,
    ) -> Result<(), StreamEnd> {
        let titles = self.columns.titles();
        let titles: Vec<_> = titles.iter().map(String::as_str).collect();
        let read = |ids| self.rows(ids);
        list.send(&sender, &titles, read, |part| ExportAccountsResponse {
            rows: part.rows,
            record: part.record,
            bytes: part.bytes,
            done: part.done,
        })
        .await
    }

    /// Of what went to somebody else meanwhile the caller has no sight any more.
    async fn rows(&self, ids: Vec<Uuid>) -> Result<Vec<Vec<String>>, AppError> {
        let seen_owners = self.filter.seen_owners.as_deref();
        let companies = companies::of_ids(self.service.pool(), &ids, seen_owners).await?;
        let rows = companies.into_iter();
        Ok(rows.map(|company| self.columns.cells(company)).collect())
    }
}

fn export(row: CardExport) -> pb::CardExport {
    pb::CardExport {
        staff_id: row.staff_id.to_string(),
        group_id: id_text(row.group_id),
        record: Some(common::Position {
            service: row.service,
            position: row.position,
        }),
        what: row.what,
        format: row.format,
        rows: row.rows,
        filter: row.filter.0.into_iter().collect(),
        at: Some(timestamp(row.at)),
    }
}

#[tonic::async_trait]
impl ExportService for Handlers {
    type ExportAccountsStream = Streaming<ExportAccountsResponse>;

    async fn export_accounts(
        &self,
        request: Request<ExportAccountsRequest>,
    ) -> Result<Response<Self::ExportAccountsStream>, Status> {
        let (ctx, req) = self.service.plain(request).await?;
        let (list, companies) = self.record(&ctx, req).await?;
        let node = &self.service.node;
        Ok(stream(node, "accounts export", |sender| {
            companies.send(list, sender)
        }))
    }

    async fn list_card_exports(
        &self,
        request: Request<ListCardExportsRequest>,
    ) -> Result<Response<ListCardExportsResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        Ok(Response::new(self.exports(&ctx, req).await?))
    }
}
