//! A document comes in.

use accounts_domain::{
    account::Account,
    catalogue::List,
    deal::{self, Deal},
    document::{Attached, Document, Event, Version},
};
use api::accounts::{
    UploadDocumentRequest, UploadDocumentResponse, UploadHeader, upload_document_request::Part,
};
use aws_lc_rs::digest::{Context, SHA256};
use es_postgres::LogError;
use kit::{AppError, Ctx, Violations};
use tokio::{
    fs::File,
    io::{AsyncSeekExt, AsyncWriteExt},
};
use tonic::{Code, Status, Streaming};
use vocabulary::{AccountId, DocumentId};

use super::{Documents, Place, object, types};
use crate::{
    accounts::{commands::check_visible, extras},
    deals,
    views::documents,
    wire::{MAX_ID, MAX_NAME, caught_up},
};

/// Enough to see what a file is.
const BEGINNING: usize = 8 << 10;

/// What is to come, for whom.
struct Announced {
    header: UploadHeader,
    place: Place,
    /// Whose key its title is under, and whose bytes they are.
    account_id: AccountId,
    /// `None`: it is a new one.
    document_id: Option<DocumentId>,
    kind: String,
    title: String,
    size: u64,
}

/// All of it, outside of the office still: nothing is left of it when it is dropped.
struct Received {
    file: File,
    sha256: String,
    media_type: String,
}

impl Documents {
    pub(super) async fn upload(
        &self,
        ctx: Ctx,
        mut parts: Streaming<UploadDocumentRequest>,
    ) -> Result<UploadDocumentResponse, Status> {
        let Some(Part::Header(header)) = next(&mut parts).await? else {
            return Err(AppError::violation("header", "must come first").into());
        };
        let mut announced = self.announced(&ctx, header).await?;
        let received = receive(&mut parts, &announced, &self.service.node.config.documents).await?;
        // A request is known by what it brought, whether its header said so or not.
        announced.header.sha256.clone_from(&received.sha256);
        let header = &announced.header;
        let ctx = self.service.commanding(ctx, &header.request_id, header)?;
        Ok(self.keep(&ctx, announced, received).await?)
    }

    async fn announced(&self, ctx: &Ctx, header: UploadHeader) -> Result<Announced, AppError> {
        let known = self.catalogue.get().await?;
        let most = self.service.node.config.documents.max_bytes;
        let mut v = Violations::new();
        let (place, document_id, kind, title) = v.within("header", |v| {
            let place = Place::read(v, &header.account_id, &header.deal_id);
            let document_id: Option<DocumentId> = v.optional_id("document_id", &header.document_id);
            if header.kind.trim().is_empty() {
                v.add("kind", "must not be empty");
            }
            let kind = extras::chosen(v, &known, List::DocumentKind, "kind", &header.kind);
            let title = v.required_line("title", &header.title, MAX_NAME);
            v.line("media_type", &header.media_type, MAX_ID);
            if header.size <= 0 {
                v.add("size", "must be more than 0");
            } else if header.size > most {
                let text = format!("must be at most {most} bytes");
                v.add_because("DOCUMENT_TOO_LARGE", "size", text);
            }
            let hexadecimal = header.sha256.bytes().all(|b| b.is_ascii_hexdigit());
            if !header.sha256.is_empty() && (header.sha256.len() != 64 || !hexadecimal) {
                v.add("sha256", "must be 64 hexadecimal digits");
            }
            v.optional_id::<DocumentId>("request_id", &header.request_id);
            (place, document_id, kind, title)
        });
        let (place, kind) = v.checked(place.zip(kind))?;
        let (place, account_id) = match place {
            Place::Account(id) => {
                let id = check_visible(&self.service, ctx, id).await?;
                (Place::Account(id), id)
            }
            Place::Deal(id) => {
                caught_up(&self.service).await?;
                let deal = deals::visible(&self.service, ctx, id).await?;
                (place, deal.account_id)
            }
        };
        let account_id = match document_id {
            Some(id) => self.of_document(id, place, account_id).await?,
            None => account_id,
        };
        self.check_kept(account_id).await?;
        Ok(Announced {
            size: header.size.cast_unsigned(),
            header,
            place,
            account_id,
            document_id,
            kind,
            title,
        })
    }

    /// Nothing is kept for a company that is forgotten, nor what somebody left there who was
    /// interrupted.
    async fn check_kept(&self, account_id: AccountId) -> Result<(), AppError> {
        let account = self.service.log.load::<Account>(account_id.0).await?.state;
        if !account.erased {
            return Ok(());
        }
        self.objects.destroy(&[&account_id.to_string()]).await?;
        Err(erased(account_id))
    }

    /// A new version stays where the document is: perhaps on a record that was merged into this one.
    async fn of_document(
        &self,
        id: DocumentId,
        place: Place,
        account_id: AccountId,
    ) -> Result<AccountId, AppError> {
        let row = documents::find(self.service.pool(), id, None).await?;
        let ids = self.service.directory.ids_of(account_id).await?;
        row.filter(|row| row.deal_id == place.deal().map(|id| id.0))
            .filter(|row| ids.contains(&row.account_id))
            .map(|row| AccountId(row.account_id))
            .ok_or(AppError::NotFound { what: "document" })
    }

    async fn keep(
        &self,
        ctx: &Ctx,
        announced: Announced,
        received: Received,
    ) -> Result<UploadDocumentResponse, AppError> {
        let account_id = announced.account_id;
        // Minutes may have passed.
        self.check_kept(account_id).await?;
        let [folder, name] = object(account_id.0, &received.sha256);
        self.objects.put(&[&folder, &name], received.file).await?;
        let version = Version {
            document_id: announced
                .document_id
                .unwrap_or_else(|| DocumentId(ctx.new_id())),
            account_id,
            kind: announced.kind,
            title: announced.title,
            media_type: received.media_type,
            size: announced.size,
            sha256: received.sha256,
        };
        match self.record(ctx, announced.place, version).await {
            // The company was forgotten while the bytes came.
            Err(error) if error.reason() == "SUBJECT_ERASED" => {
                self.objects.destroy(&[&folder]).await?;
                Err(error)
            }
            answer => answer,
        }
    }

    async fn record(
        &self,
        ctx: &Ctx,
        place: Place,
        version: Version,
    ) -> Result<UploadDocumentResponse, AppError> {
        let (context, log) = (ctx.command(), &self.service.log);
        let id = version.document_id;
        let (recorded, last) = match place {
            Place::Account(_) => {
                let outcome = log.execute::<Document>(&context, id.0, version).await?;
                let recorded = self.service.recorded(&outcome);
                // A repeated request brings what was recorded the first time.
                let first = outcome.events.into_iter().next();
                let first = first.map(|Event::Attached(attached)| attached);
                (recorded, first.or(outcome.state))
            }
            Place::Deal(deal_id) => {
                let command = deal::Command::AttachDocument(version);
                let outcome = log.execute::<Deal>(&context, deal_id.0, command).await?;
                let recorded = self.service.recorded(&outcome);
                let first = outcome.events.into_iter().find_map(|event| match event {
                    deal::Event::DocumentAttached(attached) => Some(*attached),
                    _ => None,
                });
                let deal = outcome.state;
                (
                    recorded,
                    first.or_else(|| deal?.documents.get(&id).cloned()),
                )
            }
        };
        let last: Attached = last.ok_or(AppError::NotFound { what: "document" })?;
        Ok(UploadDocumentResponse {
            document: Some(super::attached(ctx, &last, place)),
            recorded: Some(recorded),
        })
    }
}

pub(super) fn erased(account_id: AccountId) -> AppError {
    let subject = deal::subject(account_id);
    LogError::Erased { subject }.into()
}

/// A line that broke off is nobody's fault here.
async fn next(parts: &mut Streaming<UploadDocumentRequest>) -> Result<Option<Part>, Status> {
    match parts.message().await {
        Ok(message) => Ok(message.map(|message| message.part.unwrap_or(Part::Chunk(Vec::new())))),
        Err(status) if status.code() == Code::Unknown => {
            Err(AppError::Unavailable("the upload broke off".to_owned()).into())
        }
        Err(status) => Err(status),
    }
}

async fn receive(
    parts: &mut Streaming<UploadDocumentRequest>,
    announced: &Announced,
    config: &kit::config::Documents,
) -> Result<Received, Status> {
    let mut file = File::from_std(tempfile::tempfile().map_err(|error| spool(&error))?);
    let mut digest = Context::new(&SHA256);
    let (mut size, mut beginning) = (0_u64, Vec::with_capacity(BEGINNING));
    let wrong_size = || AppError::violation("header.size", "is not what came");
    while let Some(part) = next(parts).await? {
        let Part::Chunk(chunk) = part else {
            return Err(AppError::violation("header", "must come once").into());
        };
        size = size.saturating_add(chunk.len() as u64);
        if size > announced.size {
            return Err(wrong_size().into());
        }
        digest.update(&chunk);
        let missing = BEGINNING.saturating_sub(beginning.len());
        beginning.extend_from_slice(chunk.get(..missing).unwrap_or(&chunk));
        file.write_all(&chunk)
            .await
            .map_err(|error| spool(&error))?;
    }
    if size != announced.size {
        return Err(wrong_size().into());
    }
    let sha256 = hex::encode(digest.finish());
    let said = &announced.header.sha256;
    if !said.is_empty() && !said.eq_ignore_ascii_case(&sha256) {
        return Err(AppError::violation("header.sha256", "is not that of what came").into());
    }
    let media_type = types::judge(&announced.header.media_type, &beginning, &config.types)?;
    file.rewind().await.map_err(|error| spool(&error))?;
    Ok(Received {
        file,
        sha256,
        media_type,
    })
}

fn spool(error: &std::io::Error) -> AppError {
    AppError::Unavailable(format!("a document cannot be taken in: {error}"))
}
