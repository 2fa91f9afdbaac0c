//! Personal data is in no log and in no trace, whatever people type and whatever breaks.

use std::{
    fmt::Write as _,
    io::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, ensure};
use api::{
    accounts::{
        Card, ChangeAccountDetailsRequest, ListAccountsRequest, LoginRequest,
        RegisterProspectRequest,
    },
    common::PageRequest,
    contacts::{
        AddContactPersonRequest, GetTimelineRequest, InteractionKind, LogInteractionRequest,
        NextStep, Outcome,
    },
    planning::{CreateTaskRequest, TaskKind},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use tests::{
    background::{import, request_id},
    client::Client,
    eventually,
    office::Office,
};
use tonic::{Request, Response, Status, transport::Server};

use super::{CANARIES, no_canary};

const STAFF: &str = "external_id,name,role,group,head\ns-10,Зайцев Сергей,head,A,s-10\ns-11,Петров Алексей,manager,A,s-10\n";
/// Typed where it belongs and where it does not, and with what would begin a line of its own.
const TYPED: &str =
    "Канарейкин Аркадий Хотенович +7 900 777-00-71 9007770071 kanareykin@example.org";
const INJECTED: &str = "Канарейкин\r\n{\"level\":\"ERROR\",\"message\":\"Хотенович\"}";

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<String>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = write!(kept, "{:?}", request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    fn text(&self) -> String {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[tokio::test]
async fn logs_and_traces_hold_nothing_that_people_type() -> anyhow::Result<()> {
    let collector = Collector::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let otlp = listener.local_addr()?;
    let service = TraceServiceServer::new(collector.clone()).max_decoding_message_size(64 << 20);
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    #[expect(clippy::disallowed_methods, reason = "ends with the test")]
    let serving = tokio::spawn(
        Server::builder()
            .add_service(service)
            .serve_with_incoming(incoming),
    );
    let mut config = tempfile::NamedTempFile::new()?;
    write!(
        config,
        "[telemetry]\notlp_endpoint = \"http://{otlp}\"\nlog_level = \"debug\"\n"
    )?;
    let office = Office::start(&["--config", &config.path().to_string_lossy()])?;
    import(&office, "admin", "staff", STAFF)?;
    let petrov = office.client("s-11")?;

    // Where it belongs: all of it is taken.
    let account_id = taken(&petrov).await?;
    // Where it does not: all of it is refused, and in words that do not repeat it.
    for status in refused(&petrov, &office, &account_id).await? {
        ensure!(status.code() != tonic::Code::Internal, "{status:?}");
        no_canary("an answer", &format!("{status:?}"))?;
    }
    let file = tempfile::tempdir()?.keep().join("rows.csv");
    std::fs::write(
        &file,
        format!("external_id,name,phone,owner\n{TYPED},{TYPED},{TYPED},{TYPED}\n"),
    )?;
    office.command("admin", &["import", "accounts", &file.to_string_lossy()])?;

    // Where nothing works for a moment.
    let pid = std::fs::read_to_string(office.data().join("postgres/data/postmaster.pid"))?;
    let pid = pid.lines().next().context("a pid")?.parse()?;
    kill(Pid::from_raw(pid), Signal::SIGQUIT)?;
    let again = eventually(
        Duration::from_secs(30),
        || async { taken(&petrov).await },
        Result::is_ok,
    )
    .await;
    again?;

    let log = office.log();
    ensure!(
        log.contains("unavailable") || log.contains("interrupted"),
        "nothing broke"
    );
    no_canary("the log", &log)?;
    for file in ["postgresql.log", "nats.log"] {
        let log = std::fs::read(office.data().join("log").join(file))?;
        no_canary(file, &String::from_utf8_lossy(&log))?;
    }
    let traces = eventually(
        Duration::from_secs(30),
        || async { collector.text() },
        |text| text.contains("LogInteraction") && text.contains("CreateTask"),
    )
    .await;
    ensure!(traces.contains("LogInteraction"), "no traces");
    no_canary("a trace", &traces)?;
    ensure!(
        CANARIES
            .iter()
            .any(|canary| TYPED.to_lowercase().contains(canary))
    );
    serving.abort();
    Ok(())
}

async fn taken(client: &Client) -> anyhow::Result<String> {
    let register = RegisterProspectRequest {
        request_id: request_id(),
        card: Some(Card {
            name: TYPED.to_owned(),
            phones: vec!["+7 900 777-00-71".to_owned()],
            emails: vec!["kanareykin@example.org".to_owned()],
            address: TYPED.to_owned(),
            ..Card::default()
        }),
        despite_duplicates: true,
        ..RegisterProspectRequest::default()
    };
    let account = client
        .accounts()
        .register_prospect(register)
        .await?
        .into_inner();
    let min_positions: Vec<_> = account
        .recorded
        .and_then(|recorded| recorded.position)
        .into_iter()
        .collect();
    let add = AddContactPersonRequest {
        request_id: request_id(),
        account_id: account.account_id.clone(),
        name: TYPED.to_owned(),
        phones: vec!["+7 900 777-00-71".to_owned()],
        ..AddContactPersonRequest::default()
    };
    let person = client
        .contacts()
        .add_contact_person(add)
        .await?
        .into_inner();
    let log = LogInteractionRequest {
        request_id: request_id(),
        account_id: account.account_id.clone(),
        person_id: person.person_id.clone(),
        kind: InteractionKind::Call.into(),
        outcome: Outcome::Connected.into(),
        summary: TYPED.to_owned(),
        note: INJECTED.replace('\r', ""),
        min_positions,
        next_step: Some(NextStep {
            due_at: "2126-03-16T11:00:00+03:00".to_owned(),
            kind: "call".to_owned(),
            comment: TYPED.to_owned(),
            ..NextStep::default()
        }),
        ..LogInteractionRequest::default()
    };
    client.contacts().log_interaction(log).await?;
    let me = api::accounts::WhoAmIRequest::default();
    let task = CreateTaskRequest {
        request_id: request_id(),
        assignee_id: client.identity().who_am_i(me).await?.into_inner().staff_id,
        due_at: "2126-03-12T10:00:00+03:00".to_owned(),
        kind: TaskKind::Call.into(),
        comment: TYPED.to_owned(),
        account_id: account.account_id.clone(),
        person_id: person.person_id,
        ..CreateTaskRequest::default()
    };
    client.planning().create_task(task).await?;
    let search = ListAccountsRequest {
        query: TYPED.to_owned(),
        ..ListAccountsRequest::default()
    };
    client.accounts().list_accounts(search).await?;
    Ok(account.account_id)
}

async fn refused(
    petrov: &Client,
    office: &Office,
    account_id: &str,
) -> anyhow::Result<Vec<Status>> {
    let typed = || TYPED.to_owned();
    let register = RegisterProspectRequest {
        request_id: typed(),
        external_id: INJECTED.to_owned(),
        owner_id: typed(),
        card: Some(Card {
            name: INJECTED.to_owned(),
            phones: vec![typed()],
            emails: vec![typed()],
            ..Card::default()
        }),
        despite_duplicates: true,
    };
    let stale = ChangeAccountDetailsRequest {
        request_id: request_id(),
        account_id: account_id.to_owned(),
        expected_version: 77,
        name: Some(typed()),
        ..ChangeAccountDetailsRequest::default()
    };
    let log = LogInteractionRequest {
        account_id: account_id.to_owned(),
        person_id: typed(),
        mentioned_person_ids: vec![typed()],
        summary: TYPED.repeat(1_000),
        next_step: Some(NextStep {
            due_at: typed(),
            kind: typed(),
            person_id: typed(),
            ..NextStep::default()
        }),
        ..LogInteractionRequest::default()
    };
    let too_large = AddContactPersonRequest {
        account_id: account_id.to_owned(),
        name: TYPED.repeat(100_000),
        ..AddContactPersonRequest::default()
    };
    let page = GetTimelineRequest {
        account_id: account_id.to_owned(),
        page: Some(PageRequest {
            size: 10,
            token: typed(),
        }),
        ..GetTimelineRequest::default()
    };
    let login = LoginRequest {
        login: typed(),
        password: typed(),
    };
    let mut refused = vec![
        petrov.accounts().register_prospect(register).await.err(),
        petrov.accounts().change_account_details(stale).await.err(),
        petrov.contacts().log_interaction(log).await.err(),
        petrov.contacts().add_contact_person(too_large).await.err(),
        petrov.contacts().get_timeline(page).await.err(),
        petrov.identity().login(login).await.err(),
    ];
    let forger = Client::new(&office.grpc, Some("kanareykin@example.org"))?;
    let nothing = ListAccountsRequest::default();
    refused.push(forger.accounts().list_accounts(nothing).await.err());
    let count = refused.len();
    let refused: Vec<_> = refused.into_iter().flatten().collect();
    ensure!(
        refused.len() == count,
        "{} of {count} were taken",
        count - refused.len()
    );
    Ok(refused)
}
