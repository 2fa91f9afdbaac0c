//! Files that were imported, and which row became which sale.

use std::collections::HashMap;

use api::{
    accounts::{
        Import, ImportRow, ListImportRowsRequest, ListImportRowsResponse, ListImportsRequest,
        ListImportsResponse, imports_service_server::ImportsService,
    },
    common::Money,
};
use chrono::{DateTime, Utc};
use kit::{AppError, Service, Violations, fingerprint, timestamp};
use tonic::{Request, Response, Status};
use uuid::Uuid;
use vocabulary::ImportId;

use crate::{
    import::{outcome, worded},
    orders::words::order,
    views::{
        imports::{self, File, Line, Sales},
        orders,
    },
    wire::id_text,
};

pub(crate) struct Imports {
    service: Service,
}

impl Imports {
    pub(crate) fn new(service: &Service) -> Self {
        Self {
            service: service.clone(),
        }
    }

    async fn list(&self, mut req: ListImportsRequest) -> Result<ListImportsResponse, AppError> {
        let page_request = req.page.take();
        req.min_positions.clear();
        let page = self.service.page(&page_request, fingerprint(&req))?;
        let pool = self.service.pool();
        let before = page.after::<(DateTime<Utc>, Uuid)>();
        let mut files = imports::files(pool, before, page.fetch()).await?;
        let next_page_token = page.cut(&mut files, |file| (file.began_at, file.import_id));
        let ids: Vec<_> = files.iter().map(|file| file.import_id).collect();
        let mut sales: HashMap<Uuid, Vec<Sales>> = HashMap::new();
        for sold in imports::sales(pool, &ids).await? {
            sales.entry(sold.import_id).or_default().push(sold);
        }
        let clients = imports::clients(pool, &ids).await?;
        let imports = files.into_iter().map(|file| {
            let sold = sales.remove(&file.import_id).unwrap_or_default();
            let clients = clients.get(&file.import_id).copied().unwrap_or_default();
            import(file, clients, sold)
        });
        Ok(ListImportsResponse {
            imports: imports.collect(),
            next_page_token,
        })
    }

    async fn rows(
        &self,
        mut req: ListImportRowsRequest,
    ) -> Result<ListImportRowsResponse, AppError> {
        let page_request = req.page.take();
        req.min_positions.clear();
        let page = self.service.page(&page_request, fingerprint(&req))?;
        let mut v = Violations::new();
        let id: Option<ImportId> = v.id("import_id", &req.import_id);
        let id = v.checked(id)?;
        let pool = self.service.pool();
        if imports::name_of(pool, id.0).await?.is_none() {
            return Err(AppError::NotFound { what: "import" });
        }
        let after = page.after::<i64>().unwrap_or(i64::MIN);
        let mut lines = imports::lines(pool, id, req.only_sold, after, page.fetch()).await?;
        let next_page_token = page.cut(&mut lines, |line| line.row);
        let numbers: Vec<_> = lines.iter().map(|line| line.row).collect();
        let row_of = imports::brought(pool, id, &numbers).await?;
        let accounts: Vec<_> = row_of.keys().copied().collect();
        let mut sales: HashMap<i64, Vec<_>> = HashMap::new();
        for ordered in orders::of_account(pool, &accounts).await?.into_iter().rev() {
            if let Some(row) = row_of.get(&ordered.account_id) {
                sales.entry(*row).or_default().push(order(ordered));
            }
        }
        let rows = lines.into_iter().map(|line| {
            let sold = sales.remove(&line.row).unwrap_or_default();
            row(&line, sold)
        });
        Ok(ListImportRowsResponse {
            rows: rows.collect(),
            next_page_token,
        })
    }
}

fn import(file: File, clients: i64, sales: Vec<Sales>) -> Import {
    Import {
        id: file.import_id.to_string(),
        file: file.name,
        imported_by: id_text(file.imported_by),
        began_at: Some(timestamp(file.began_at)),
        ended_at: Some(timestamp(file.ended_at)),
        created: file.created,
        matched: file.matched,
        repeated: file.repeated,
        rejected: file.rejected,
        clients,
        orders: sales.iter().map(|sold| sold.orders).sum(),
        sales: sales
            .into_iter()
            .map(|sold| Money {
                minor_units: sold.minor_units,
                currency: sold.currency,
            })
            .collect(),
    }
}

fn row(line: &Line, orders: Vec<api::accounts::Order>) -> ImportRow {
    ImportRow {
        row: line.row,
        outcome: outcome(line.outcome.0).into(),
        account_id: id_text(line.account_id),
        orders,
        violations: line.faults.0.iter().map(worded).collect(),
    }
}

#[tonic::async_trait]
impl ImportsService for Imports {
    async fn list_imports(
        &self,
        request: Request<ListImportsRequest>,
    ) -> Result<Response<ListImportsResponse>, Status> {
        let (_, req) = self.service.query(request).await?;
        Ok(Response::new(self.list(req).await?))
    }

    async fn list_import_rows(
        &self,
        request: Request<ListImportRowsRequest>,
    ) -> Result<Response<ListImportRowsResponse>, Status> {
        let (_, req) = self.service.query(request).await?;
        Ok(Response::new(self.rows(req).await?))
    }
}
