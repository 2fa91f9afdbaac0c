//! A document goes out.

use accounts_domain::document::{Access, Accessed};
use api::accounts::{
    DownloadDocumentRequest, DownloadDocumentResponse, download_document_response::Part,
};
use aws_lc_rs::digest::{Context, SHA256};
use futures::StreamExt;
use kit::{AppError, Ctx, Sender, StreamEnd, Streaming, Violations, objects::Parts, stream};
use tonic::Response;
use vocabulary::{AccountId, DealId, DocumentId};

use super::{Documents, document, object};
use crate::views::documents::{self, DocumentRow};

/// What one message holds at most.
const CHUNK: usize = 256 << 10;

impl Documents {
    pub(super) async fn download(
        &self,
        ctx: &Ctx,
        req: &DownloadDocumentRequest,
    ) -> Result<Response<Streaming<DownloadDocumentResponse>>, AppError> {
        let mut v = Violations::new();
        let id: Option<DocumentId> = v.id("document_id", &req.document_id);
        if req.version < 0 {
            v.add("version", "must not be negative");
        }
        let id = v.checked(id)?;
        let version = Some(req.version).filter(|version| *version != 0);
        let row = documents::find(self.service.pool(), id, version).await?;
        let row = row.ok_or(AppError::NotFound { what: "document" })?;
        let account_id = AccountId(row.account_id);
        self.service.visible_account(ctx, account_id).await?;
        if row.erased {
            return Err(super::upload::erased(AccountId(row.account_id)));
        }
        let [folder, name] = object(row.account_id, &row.sha256);
        let Some(bytes) = self.objects.get(&[&folder, &name]).await? else {
            return Err(damaged(&row));
        };
        let accessed = Accessed {
            document_id: id,
            version: row.version.cast_unsigned(),
            account_id: AccountId(row.account_id),
            deal_id: row.deal_id.map(DealId),
            sha256: row.sha256.clone(),
        };
        let (log, context) = (&self.service.log, ctx.command());
        log.execute_new::<Access>(&context, ctx.new_id(), accessed)
            .await?;
        let node = &self.service.node;
        Ok(stream(node, "document", |sender| send(sender, row, bytes)))
    }
}

async fn send(
    sender: Sender<DownloadDocumentResponse>,
    row: DocumentRow,
    mut bytes: Parts,
) -> Result<(), StreamEnd> {
    let part = |part| DownloadDocumentResponse { part: Some(part) };
    sender
        .send(part(Part::Document(document(row.clone()))))
        .await?;
    let mut digest = Context::new(&SHA256);
    let mut held = Vec::new();
    while let Some(more) = bytes.next().await {
        let more = more?;
        digest.update(&more);
        held.extend_from_slice(&more);
        // Something is kept back until all is known to be right.
        while held.len() > CHUNK {
            let rest = held.split_off(CHUNK);
            let chunk = std::mem::replace(&mut held, rest);
            sender.send(part(Part::Chunk(chunk))).await?;
        }
    }
    let sha256 = hex::encode(digest.finish());
    if sha256 != row.sha256 {
        return Err(damaged(&row).into());
    }
    sender.send(part(Part::Chunk(held))).await?;
    Ok(())
}

/// Somebody has been at the storage: people must look into it.
fn damaged(row: &DocumentRow) -> AppError {
    let (document, version) = (row.document_id, row.version);
    tracing::error!(%document, version, "stored bytes are missing or not those uploaded");
    AppError::precondition(
        "DOCUMENT_DAMAGED",
        "the stored bytes are missing or not those that were uploaded",
    )
}
