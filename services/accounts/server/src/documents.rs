//! Documents of companies and deals. Bytes are stored under the company and their hash, and only
//! then recorded: bytes that nobody speaks of are harmless, a document without bytes is not. What is
//! stored for a company goes when the company was a person who is forgotten.

mod download;
mod erased;
mod types;
mod upload;

use accounts_domain::{catalogue::List, document::Attached};
use api::accounts::{
    self as pb, DownloadDocumentRequest, DownloadDocumentResponse, ListDocumentsRequest,
    ListDocumentsResponse, UploadDocumentRequest, UploadDocumentResponse,
    documents_service_server::DocumentsService,
};
use kit::{
    AppError, Ctx, Service, Streaming, Violations, fingerprint, objects::Objects, timestamp,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;
use vocabulary::{AccountId, DealId};

use crate::{
    accounts::extras,
    catalogue::Current,
    deals,
    views::documents::{self, DocumentRow, PageKey, Wanted},
    wire::id_text,
};

pub(crate) use erased::ErasedDocuments;

pub(crate) struct Documents {
    service: Service,
    catalogue: Current,
    objects: Objects,
}

impl Documents {
    pub(crate) fn new(service: &Service, catalogue: &Current, objects: &Objects) -> Self {
        Self {
            service: service.clone(),
            catalogue: catalogue.clone(),
            objects: objects.clone(),
        }
    }

    async fn list(
        &self,
        ctx: &Ctx,
        mut req: ListDocumentsRequest,
    ) -> Result<ListDocumentsResponse, AppError> {
        let known = self.catalogue.get().await?;
        let mut v = Violations::new();
        let place = Place::read(&mut v, &req.account_id, &req.deal_id);
        let kind = extras::known(&mut v, &known, List::DocumentKind, "kind", &req.kind);
        let place = v.checked(place)?;
        let page_request = req.page.take();
        req.min_positions.clear();
        let page = self.service.page(&page_request, fingerprint(&req))?;
        let (account_ids, deal_id) = match place {
            Place::Account(id) => {
                let account = self.service.visible_account(ctx, id).await?;
                (self.service.directory.ids_of(account.id).await?, None)
            }
            Place::Deal(id) => {
                let deal = deals::visible(&self.service, ctx, id).await?;
                (vec![deal.account_id.0], Some(id))
            }
        };
        let wanted = Wanted {
            account_ids,
            deal_id,
            kind,
            all_versions: req.all_versions,
        };
        let after = page.after::<PageKey>();
        let mut rows = documents::page(self.service.pool(), &wanted, after, page.fetch()).await?;
        let next_page_token = page.cut(&mut rows, |row| {
            (row.attached_at, row.document_id, row.version)
        });
        Ok(ListDocumentsResponse {
            documents: rows.into_iter().map(document).collect(),
            next_page_token,
        })
    }
}

/// Whose a document is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Account(AccountId),
    Deal(DealId),
}

impl Place {
    /// Either of them.
    fn read(v: &mut Violations, account_id: &str, deal_id: &str) -> Option<Self> {
        if account_id.trim().is_empty() {
            return v.id("deal_id", deal_id).map(Self::Deal);
        }
        if !deal_id.trim().is_empty() {
            v.add("account_id", "must be empty for a document of a deal");
        }
        v.id("account_id", account_id).map(Self::Account)
    }

    fn deal(self) -> Option<DealId> {
        match self {
            Self::Account(_) => None,
            Self::Deal(id) => Some(id),
        }
    }
}

/// Where the bytes of a document are. What a company has is apart from what others have, so that it
/// can be destroyed.
fn object(account_id: Uuid, sha256: &str) -> [String; 2] {
    [account_id.to_string(), sha256.to_owned()]
}

fn document(row: DocumentRow) -> pb::Document {
    pb::Document {
        id: row.document_id.to_string(),
        version: row.version,
        account_id: row.account_id.to_string(),
        deal_id: id_text(row.deal_id),
        kind: row.kind,
        title: row.title,
        media_type: row.media_type,
        size: row.size,
        sha256: row.sha256,
        attached_at: Some(timestamp(row.attached_at)),
        attached_by: id_text(row.attached_by),
    }
}

/// As it was recorded in this moment.
fn attached(ctx: &Ctx, attached: &Attached, place: Place) -> pb::Document {
    let by = ctx.staff().map(Uuid::from);
    document(DocumentRow::new(attached, place.deal(), ctx.now, by))
}

#[tonic::async_trait]
impl DocumentsService for Documents {
    type DownloadDocumentStream = Streaming<DownloadDocumentResponse>;

    async fn upload_document(
        &self,
        request: Request<tonic::Streaming<UploadDocumentRequest>>,
    ) -> Result<Response<UploadDocumentResponse>, Status> {
        let (ctx, parts) = self.service.plain(request).await?;
        Ok(Response::new(self.upload(ctx, parts).await?))
    }

    async fn download_document(
        &self,
        request: Request<DownloadDocumentRequest>,
    ) -> Result<Response<Self::DownloadDocumentStream>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        Ok(self.download(&ctx, &req).await?)
    }

    async fn list_documents(
        &self,
        request: Request<ListDocumentsRequest>,
    ) -> Result<Response<ListDocumentsResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        Ok(Response::new(self.list(&ctx, req).await?))
    }
}
