//! Documents as a caller sends and takes them.

use api::accounts::{
    Document, DownloadDocumentRequest, UploadDocumentRequest, UploadHeader,
    download_document_response, upload_document_request::Part,
};
use tonic::Status;

use crate::client::Client;

/// As browsers cut a file.
const CHUNK: usize = 100_000;

pub fn parts(header: UploadHeader, bytes: &[u8]) -> Vec<UploadDocumentRequest> {
    let part = |part| UploadDocumentRequest { part: Some(part) };
    let chunks = bytes.chunks(CHUNK).map(|chunk| Part::Chunk(chunk.into()));
    std::iter::once(Part::Header(header))
        .chain(chunks)
        .map(part)
        .collect()
}

/// The size is that of the bytes, unless the header names one.
pub async fn upload(
    client: &Client,
    mut header: UploadHeader,
    bytes: &[u8],
) -> Result<Document, Status> {
    if header.size == 0 {
        header.size = bytes.len() as i64;
    }
    let parts = futures::stream::iter(parts(header, bytes));
    let answer = client.documents().upload_document(parts).await?;
    Ok(answer.into_inner().document.unwrap_or_default())
}

/// What the office says it is, and what came before the end or the refusal.
pub async fn download(
    client: &Client,
    request: DownloadDocumentRequest,
) -> Result<(Document, Vec<u8>, Option<Status>), Status> {
    let answer = client.documents().download_document(request).await?;
    let mut answer = answer.into_inner();
    let (mut document, mut bytes) = (Document::default(), Vec::new());
    loop {
        match answer.message().await {
            Ok(None) => return Ok((document, bytes, None)),
            Ok(Some(message)) => match message.part {
                Some(download_document_response::Part::Document(told)) => document = told,
                Some(download_document_response::Part::Chunk(more)) => bytes.extend(more),
                None => {}
            },
            Err(status) => return Ok((document, bytes, Some(status))),
        }
    }
}
