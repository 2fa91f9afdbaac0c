//! Documents: what is uploaded comes back byte for byte, only to those who see the company, and
//! every reading is on record.

mod storage;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use api::{
    accounts::{
        Document, DownloadDocumentRequest, ListDocumentsRequest, UploadDocumentRequest,
        UploadHeader,
    },
    log::ReadEventsRequest,
};
use futures::StreamExt;
use tests::{
    background::{Background, fields, import, reason, request_id},
    client::Client,
    documents::{download, parts, upload},
};
use tonic::{Code, Status};

const NOW: &str = "2026-03-06T17:00:00+03:00";
const ACCOUNTS: &str = "external_id,name,phone,owner
acc-1001,ООО «Вектор»,+7 900 000-01-15,s-11
acc-1002,ООО «Гамма»,+7 900 000-01-16,s-12
";
/// More than a message may have, and no round number.
const LARGE: usize = (5 << 20) + 77;

pub(crate) fn pdf(size: usize) -> Vec<u8> {
    let noise = (0_u32..).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]);
    b"%PDF-1.7\n"
        .iter()
        .copied()
        .chain(noise)
        .take(size)
        .collect()
}

pub(crate) fn header(account_id: &str, title: &str) -> UploadHeader {
    UploadHeader {
        request_id: request_id(),
        account_id: account_id.to_owned(),
        kind: "proposal".to_owned(),
        title: title.to_owned(),
        media_type: "application/pdf".to_owned(),
        ..UploadHeader::default()
    }
}

async fn office() -> anyhow::Result<(Background, Client, String)> {
    let office = Background::start(NOW).await?;
    import(&office.office, "s-01", "accounts", ACCOUNTS)?;
    let (petrov, account) = (office.client("s-11")?, office.account("acc-1001").await?);
    Ok((office, petrov, account))
}

async fn wanted(
    office: &Background,
    document: &Document,
    version: i32,
) -> anyhow::Result<DownloadDocumentRequest> {
    Ok(DownloadDocumentRequest {
        document_id: document.id.clone(),
        version,
        min_positions: vec![office.head("accounts").await?],
    })
}

/// Who has read what, as (staff, version).
async fn accesses(office: &Background, id: &str) -> anyhow::Result<Vec<(String, i64)>> {
    let request = ReadEventsRequest {
        service: "accounts".to_owned(),
        after_position: 0,
        limit: 5_000,
    };
    let events = office.admin.log("accounts").read_events(request).await?;
    let mut found = Vec::new();
    for event in events.into_inner().events {
        if event.r#type == "document.accessed" {
            let payload: serde_json::Value = serde_json::from_slice(&event.payload)?;
            let metadata: serde_json::Value = serde_json::from_slice(&event.metadata)?;
            if payload["document_id"] == id {
                let actor = metadata["actor"].to_string();
                let who = office
                    .staff
                    .iter()
                    .find(|(_, id)| actor.contains(id.as_str()));
                let who = who.map_or_else(|| actor.clone(), |(name, _)| name.clone());
                found.push((who, payload["version"].as_i64().unwrap_or_default()));
            }
        }
    }
    Ok(found)
}

/// The files in the folder where bytes are kept.
fn stored(office: &Background) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![office.office.data().join("documents")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// T-018: a proposal of 5 MiB comes back byte for byte, a new version leaves the one before, and the
/// log says who has read them.
#[tokio::test]
async fn a_document_comes_back_as_it_was() -> anyhow::Result<()> {
    let (office, petrov, account) = office().await?;
    let (first, second) = (pdf(LARGE), pdf(1_000));
    let asked = header(&account, "КП-77.pdf");
    let document = upload(&petrov, asked.clone(), &first).await?;
    ensure!(document.version == 1 && document.size == LARGE as i64);
    ensure!(document.attached_by == office.staff["s-11"]);
    // The answer was lost and the caller tries again.
    ensure!(upload(&petrov, asked, &first).await?.id == document.id);

    let next = UploadHeader {
        document_id: document.id.clone(),
        sha256: String::new(),
        ..header(&account, "КП-77, исправленное.pdf")
    };
    let newer = upload(&petrov, next.clone(), &second).await?;
    ensure!(newer.id == document.id && newer.version == 2);
    let same = UploadHeader {
        request_id: request_id(),
        ..next
    };
    let same = upload(&petrov, same, &second).await?;
    ensure!(same.version == 2, "the same bytes are no new version");

    let request = wanted(&office, &document, 1).await?;
    let (told, bytes, refused) = download(&petrov, request.clone()).await?;
    ensure!(refused.is_none() && bytes == first && told.title == "КП-77.pdf");
    let (told, bytes, _) = download(&petrov, wanted(&office, &document, 0).await?).await?;
    ensure!(bytes == second && told.version == 2);
    // Who sees the group sees it, too; another manager does not know that it exists.
    let head = office.client("s-10")?;
    let (_, bytes, _) = download(&head, request.clone()).await?;
    ensure!(bytes == first);
    let smirnova = office.client("s-12")?;
    let hidden = download(&smirnova, request.clone()).await.err();
    ensure!(hidden.context("seen")?.code() == Code::NotFound);
    // Somebody who breaks off has read, too.
    let mut broken = head
        .documents()
        .download_document(request)
        .await?
        .into_inner();
    broken.message().await?.context("the document")?;
    drop(broken);
    let read = accesses(&office, &document.id).await?;
    let expected = [("s-11", 1), ("s-11", 2), ("s-10", 1), ("s-10", 1)];
    let expected = expected.map(|(who, version)| (who.to_owned(), version));
    ensure!(read == expected, "{read:?}");

    let request = ListDocumentsRequest {
        account_id: account.clone(),
        min_positions: vec![office.head("accounts").await?],
        ..ListDocumentsRequest::default()
    };
    let newest = petrov.documents().list_documents(request.clone()).await?;
    let newest = newest.into_inner().documents;
    ensure!(newest.len() == 1 && newest[0].version == 2);
    let all = ListDocumentsRequest {
        all_versions: true,
        kind: "коммерческое предложение".to_owned(),
        ..request.clone()
    };
    let all = petrov.documents().list_documents(all).await?.into_inner();
    let versions: Vec<_> = all.documents.iter().map(|one| one.version).collect();
    ensure!(versions == [2, 1]);
    let hidden = smirnova.documents().list_documents(request).await.err();
    ensure!(hidden.context("listed")?.code() == Code::NotFound);
    Ok(())
}

/// T-018: what is too large, of the wrong type, or not what it says it is, is refused with the field
/// and the limit, and nothing is left of it.
#[tokio::test]
async fn what_does_not_fit_leaves_nothing() -> anyhow::Result<()> {
    let (office, petrov, account) = office().await?;
    let before = office.head("accounts").await?;
    let asked = |change: fn(&mut UploadHeader)| {
        let mut header = header(&account, "КП-77.pdf");
        change(&mut header);
        header
    };
    let file = pdf(300_000);
    let size = file.len() as i64;
    let refused = async |header: UploadHeader, bytes: &[u8]| -> anyhow::Result<(String, String)> {
        let status = upload(&petrov, header, bytes)
            .await
            .err()
            .context("taken")?;
        let said = fields(&status).join(", ");
        Ok((reason(&status), said))
    };
    let too_large = upload(&petrov, asked(|it| it.size = (25 << 20) + 1), &file).await;
    let too_large = too_large.err().context("too large")?;
    ensure!(reason(&too_large) == "DOCUMENT_TOO_LARGE");
    ensure!(too_large.message().contains("26214400"), "{too_large:?}");
    for (header, bytes, expected) in [
        (
            asked(|_| {}),
            &file[..0],
            ("INVALID_REQUEST", "header.size"),
        ),
        (
            asked(|it| it.size = 299_999),
            &file[..],
            ("INVALID_REQUEST", "header.size"),
        ),
        (
            asked(|it| it.size = 300_001),
            &file[..],
            ("INVALID_REQUEST", "header.size"),
        ),
        (
            asked(|it| it.sha256 = "0".repeat(64)),
            &file[..],
            ("INVALID_REQUEST", "header.sha256"),
        ),
        (
            asked(|it| it.media_type = "image/png".to_owned()),
            &file[..],
            ("DOCUMENT_TYPE", "header.media_type"),
        ),
        (
            asked(|it| it.media_type = String::new()),
            &b"MZ\x90\0\x03\0\0\0"[..],
            ("DOCUMENT_TYPE", "header.media_type"),
        ),
        (
            asked(|it| (it.kind, it.title) = ("мем".to_owned(), String::new())),
            &file[..],
            ("INVALID_REQUEST", "header.kind, header.title"),
        ),
        (
            asked(|it| it.account_id = request_id()),
            &file[..],
            ("NOT_FOUND", ""),
        ),
        (
            asked(|it| it.document_id = request_id()),
            &file[..],
            ("NOT_FOUND", ""),
        ),
    ] {
        let said = refused(header, bytes).await?;
        ensure!((said.0.as_str(), said.1.as_str()) == expected, "{said:?}");
    }
    // Bytes without a header; a second header; a line that breaks off in the middle.
    let whole = || {
        parts(
            UploadHeader {
                size,
                ..header(&account, "КП-77.pdf")
            },
            &file,
        )
    };
    let send = async |parts: Vec<UploadDocumentRequest>| {
        let parts = futures::stream::iter(parts);
        petrov.documents().upload_document(parts).await.err()
    };
    let headless = send(whole().split_off(1)).await.context("headless")?;
    ensure!(fields(&headless) == ["header"]);
    let twice = whole().into_iter().chain(whole()).collect();
    ensure!(fields(&send(twice).await.context("two headers")?) == ["header"]);
    let mut broken = whole();
    broken.truncate(2);
    let stream = futures::stream::iter(broken).chain(futures::stream::pending());
    let mut documents = petrov.documents();
    let hanging = documents.upload_document(stream);
    let gone = tokio::time::timeout(Duration::from_secs(1), hanging).await;
    ensure!(gone.is_err(), "it waits for the rest");
    // The answer to a stranger is that of an account that is not there.
    let smirnova = office.client("s-12")?;
    let hidden = upload(&smirnova, header(&account, "КП-77.pdf"), &file).await;
    ensure!(hidden.err().context("taken")?.code() == Code::NotFound);

    ensure!(
        office.head("accounts").await? == before,
        "something was recorded"
    );
    ensure!(stored(&office)?.is_empty(), "{:?}", stored(&office)?);
    // After all that the same file is taken.
    upload(&petrov, header(&account, "КП-77.pdf"), &file).await?;
    ensure!(stored(&office)?.len() == 1);
    Ok(())
}

/// T-018: bytes that somebody has changed in the storage are never handed out as the document.
#[tokio::test]
async fn a_changed_file_is_noticed() -> anyhow::Result<()> {
    let (office, petrov, account) = office().await?;
    let small = upload(&petrov, header(&account, "малое.pdf"), &pdf(10_000)).await?;
    let large = upload(&petrov, header(&account, "большое.pdf"), &pdf(LARGE)).await?;
    for path in stored(&office)? {
        let mut bytes = std::fs::read(&path)?;
        let last = bytes.last_mut().context("empty")?;
        *last ^= 1;
        std::fs::write(&path, bytes)?;
    }
    for (document, size) in [(&small, 10_000), (&large, LARGE)] {
        let (_, bytes, refused) = download(&petrov, wanted(&office, document, 0).await?).await?;
        let refused: Status = refused.context("handed out")?;
        ensure!(reason(&refused) == "DOCUMENT_DAMAGED");
        ensure!(bytes.len() < size, "all of it came");
    }
    for path in stored(&office)? {
        std::fs::remove_file(path)?;
    }
    let gone = download(&petrov, wanted(&office, &small, 0).await?)
        .await
        .err();
    ensure!(reason(&gone.context("handed out")?) == "DOCUMENT_DAMAGED");
    ensure!(office.office.log().contains("stored bytes are missing"));
    Ok(())
}
