//! Where the bytes are: in a bucket as in a folder, and nowhere once the company is forgotten.

use std::{
    io::{Read, Write},
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use api::{
    accounts::{DownloadDocumentRequest, ListAccountsRequest, ListDocumentsRequest},
    contacts::{
        AddContactPersonRequest, ConfirmErasureRequest, ErasureGround, ErasureState,
        GetErasureRequest, RequestErasureRequest,
    },
};
use tests::{
    background::{head, import, reason, request_id},
    documents::{download, upload},
    eventually,
    office::Office,
};

use super::{LARGE, header, office, pdf, stored, wanted};

/// T-018: a company that was a person is forgotten, and the bytes of its documents with it; those of
/// others stay.
#[tokio::test]
async fn an_erased_company_has_no_documents() -> anyhow::Result<()> {
    let (office, petrov, account) = office().await?;
    let document = upload(&petrov, header(&account, "Договор.pdf"), &pdf(1_000)).await?;
    let smirnova = office.client("s-12")?;
    let others = office.account("acc-1002").await?;
    let other = upload(&smirnova, header(&others, "Договор.pdf"), &pdf(1_000)).await?;
    ensure!(stored(&office)?.len() == 2, "each has its own");
    let person = AddContactPersonRequest {
        request_id: request_id(),
        account_id: account.clone(),
        external_id: "p-1".to_owned(),
        name: "Птичий Канарей".to_owned(),
        ..AddContactPersonRequest::default()
    };
    let person = petrov.contacts().add_contact_person(person).await?;
    let person_id = person.into_inner().person_id;
    let request = RequestErasureRequest {
        request_id: request_id(),
        person_id: person_id.clone(),
        ground: ErasureGround::Demand.into(),
        with_account: true,
    };
    office
        .client("s-01")?
        .contacts()
        .request_erasure(request)
        .await?;
    let request = ConfirmErasureRequest {
        request_id: request_id(),
        person_id: person_id.clone(),
    };
    let orlova = office.client("s-02")?;
    orlova.contacts().confirm_erasure(request).await?;
    let request = GetErasureRequest {
        person_id,
        ..GetErasureRequest::default()
    };
    let whole = || async {
        let answer = orlova.contacts().get_erasure(request.clone()).await?;
        let erasure = answer.into_inner().erasure.context("no erasure")?;
        ensure!(erasure.state() == ErasureState::Erased && erasure.parts.len() == 5);
        anyhow::Ok(())
    };
    eventually(Duration::from_secs(20), whole, Result::is_ok).await?;

    let left = stored(&office)?;
    ensure!(left.len() == 1 && left[0].display().to_string().contains(&others));
    let refused = download(&petrov, wanted(&office, &document, 0).await?).await;
    ensure!(reason(&refused.err().context("handed out")?) == "SUBJECT_ERASED");
    let refused = upload(&petrov, header(&account, "Ещё.pdf"), &pdf(1_000)).await;
    ensure!(reason(&refused.err().context("taken")?) == "SUBJECT_ERASED");
    ensure!(stored(&office)?.len() == 1);
    let request = ListDocumentsRequest {
        account_id: account,
        min_positions: vec![office.head("accounts").await?],
        ..ListDocumentsRequest::default()
    };
    let listed = petrov
        .documents()
        .list_documents(request)
        .await?
        .into_inner();
    ensure!(listed.documents.len() == 1 && listed.documents[0].title.is_empty());
    let (_, bytes, _) = download(&smirnova, wanted(&office, &other, 0).await?).await?;
    ensure!(bytes == pdf(1_000));
    Ok(())
}

/// A server that speaks S3, with one bucket.
struct Bucket {
    server: Child,
    port: u16,
}

impl Bucket {
    fn start() -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let server = Command::new("moto_server")
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("moto_server is one of tests/tools.txt")?;
        Ok(Self { server, port })
    }

    /// `PUT /bucket` as any client of S3 sends it.
    async fn make(&self) -> anyhow::Result<()> {
        let asked = || async {
            let port = self.port;
            tokio::task::spawn_blocking(move || {
                let mut line = std::net::TcpStream::connect(("127.0.0.1", port))?;
                line.write_all(
                    b"PUT /papers HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\
                      Connection: close\r\n\r\n",
                )?;
                let mut answer = String::new();
                line.read_to_string(&mut answer)?;
                ensure!(answer.contains(" 200 "), "{answer}");
                anyhow::Ok(())
            })
            .await?
        };
        eventually(Duration::from_secs(30), asked, Result::is_ok).await
    }

    fn config(&self) -> anyhow::Result<tempfile::NamedTempFile> {
        let mut file = tempfile::NamedTempFile::new()?;
        write!(
            file,
            "[documents]\nstorage = 's3://papers/office/one'\n\
             endpoint = 'http://127.0.0.1:{}'\naccess_key_id = 'us'\n\
             secret_access_key = 'secret'\n",
            self.port
        )?;
        Ok(file)
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// T-018: the same with a bucket: large files in parts, small ones at once, changed ones noticed.
#[tokio::test]
async fn a_bucket_is_as_good_as_a_folder() -> anyhow::Result<()> {
    let bucket = Bucket::start()?;
    bucket.make().await?;
    let config = bucket.config()?;
    let path = config.path().display().to_string();
    let office = Office::start(&["--config", &path])?;
    import(
        &office,
        "admin",
        "accounts",
        "external_id,name,phone\nacc-1,ООО «Вектор»,+7 900 000-01-15\n",
    )?;
    let admin = office.client("admin")?;
    let listed = ListAccountsRequest::default();
    let listed = admin.accounts().list_accounts(listed).await?;
    let account = listed.into_inner().accounts.remove(0).id;
    // More than is sent at once.
    for size in [LARGE, 3 * LARGE, 500] {
        let bytes = pdf(size);
        let document = upload(&admin, header(&account, "КП.pdf"), &bytes).await?;
        let request = DownloadDocumentRequest {
            document_id: document.id,
            min_positions: vec![head(&admin, "accounts").await?],
            ..DownloadDocumentRequest::default()
        };
        let (_, came, refused) = download(&admin, request).await?;
        ensure!(refused.is_none() && came == bytes, "{size} bytes");
    }
    ensure!(!office.data().join("documents").exists());
    // With the bucket away nothing is recorded and nothing breaks.
    let before = head(&admin, "accounts").await?;
    drop(bucket);
    let refused = upload(&admin, header(&account, "КП.pdf"), &pdf(700)).await;
    ensure!(reason(&refused.err().context("kept nowhere")?) == "UNAVAILABLE");
    ensure!(head(&admin, "accounts").await? == before);
    Ok(())
}
