//! How the command line reaches an office: an address, a token, and errors in words.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use api::{
    accounts::ListStaffRequest, analytics::GetScorecardRequest,
    clock::clock_service_client::ClockServiceClient, common::Position,
    contacts::ListContactPersonsRequest, log::log_service_client::LogServiceClient,
    planning::GetTaskRequest, views::views_service_client::ViewsServiceClient,
};
use kit::{Identity, Tokens};
use tokio::time::Instant;
use tonic::{
    Status,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;
use uuid::Uuid;
use vocabulary::StaffId;

use crate::office::{self, default_folder};

const TOKEN_TTL: Duration = Duration::from_hours(12);
const SETTLED_WITHIN: Duration = Duration::from_mins(1);

/// Where the office is and who asks.
#[derive(clap::Args, Clone)]
pub(crate) struct Connection {
    /// Address of the office, or one per service: accounts=http://…,contacts=http://…
    /// [default: the office that runs on the data folder, else <http://127.0.0.1:8600>].
    #[arg(
        long,
        env = "KONTAKTY_SERVER",
        global = true,
        help_heading = "Connection"
    )]
    server: Option<String>,
    /// Bearer token; `kontakty token` prints one.
    #[arg(
        long,
        env = "KONTAKTY_TOKEN",
        hide_env_values = true,
        help_heading = "Connection"
    )]
    token: Option<String>,
    /// External id of the member of staff to be, on the machine where the office's key is.
    #[arg(
        id = "as",
        long = "as",
        default_value = "admin",
        value_name = "STAFF",
        help_heading = "Connection"
    )]
    staff: String,
    /// Data folder of a local office.
    #[arg(long, env = "KONTAKTY_DATA", help_heading = "Connection")]
    data: Option<PathBuf>,
}

/// An authenticated way to each service.
#[derive(Clone)]
pub(crate) struct Client {
    channels: BTreeMap<String, Channel>,
    bearer: Bearer,
}

pub(crate) type Authenticated = InterceptedService<Channel, Bearer>;

#[derive(Clone)]
pub(crate) struct Bearer(tonic::metadata::MetadataValue<tonic::metadata::Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.0.clone());
        Ok(request)
    }
}

impl Connection {
    pub(crate) async fn open(&self) -> anyhow::Result<Client> {
        let mut channels = BTreeMap::new();
        for part in self.address().split(',') {
            let (service, url) = match part.split_once('=') {
                Some((service, url)) => (service.trim(), url.trim()),
                None => ("", part.trim()),
            };
            channels.insert(service.to_owned(), connect(url).await?);
        }
        Ok(Client {
            channels,
            bearer: Bearer::new(&self.bearer()?)?,
        })
    }

    fn folder(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(default_folder)
    }

    /// Where the keys of a local office are.
    pub(crate) fn keys(&self) -> PathBuf {
        office::keys(&self.folder())
    }

    fn address(&self) -> String {
        self.server.clone().unwrap_or_else(|| {
            office::Folder::running(&self.folder()).map_or_else(
                || "http://127.0.0.1:8600".to_owned(),
                |office| format!("http://{}", office.grpc),
            )
        })
    }

    fn bearer(&self) -> anyhow::Result<String> {
        match &self.token {
            Some(token) => Ok(token.clone()),
            None => local_token(&self.folder(), &staff_member(&self.staff), TOKEN_TTL),
        }
    }
}

/// A client of the office that runs on `data`, as one of its staff.
pub(crate) async fn local(
    grpc: &str,
    data: &std::path::Path,
    staff: &str,
) -> anyhow::Result<Client> {
    let channels = BTreeMap::from([(String::new(), connect(grpc).await?)]);
    Ok(Client {
        channels,
        bearer: Bearer::new(&local_token(data, &staff_member(staff), TOKEN_TTL)?)?,
    })
}

/// A token signed with the key of an office on this machine.
pub(crate) fn local_token(
    data: &std::path::Path,
    identity: &Identity,
    ttl: Duration,
) -> anyhow::Result<String> {
    let keys = office::keys(data);
    if !keys.join("signing.pem").exists() {
        bail!(
            "there is no office key in {}: give --token (or KONTAKTY_TOKEN), or name the folder of \
             a local office with --data",
            keys.display()
        );
    }
    let (token, _) = Tokens::load(&keys)?.issue(identity, ttl)?;
    Ok(token)
}

pub(crate) fn staff_member(external_id: &str) -> Identity {
    Identity::Staff(StaffId::of_external(external_id))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the command line is a client of its own, outside of any service"
)]
async fn connect(url: &str) -> anyhow::Result<Channel> {
    let url = if url.contains("://") {
        url.to_owned()
    } else {
        format!("http://{url}")
    };
    Endpoint::from_shared(url.clone())
        .with_context(|| format!("`{url}` is not an address"))?
        .connect_timeout(Duration::from_secs(5))
        .connect()
        .await
        .with_context(|| {
            format!("no office answers at {url}: is it running? `kontakty up` starts one")
        })
}

impl Bearer {
    fn new(token: &str) -> anyhow::Result<Self> {
        let mut value: tonic::metadata::MetadataValue<_> = format!("Bearer {token}")
            .parse()
            .context("the token has characters that no token has")?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

macro_rules! clients {
    ($($name:ident: $service:literal, $client:ty;)*) => {
        impl Client {
            $(pub(crate) fn $name(&self) -> anyhow::Result<$client> {
                Ok(<$client>::new(self.authenticated($service)?))
            })*
        }
    };
}

clients! {
    staff: "accounts", api::accounts::staff_service_client::StaffServiceClient<Authenticated>;
    catalogue: "accounts", api::accounts::catalogue_service_client::CatalogueServiceClient<Authenticated>;
    accounts: "accounts", api::accounts::accounts_service_client::AccountsServiceClient<Authenticated>;
    orders: "accounts", api::accounts::orders_service_client::OrdersServiceClient<Authenticated>;
    export: "accounts", api::accounts::export_service_client::ExportServiceClient<Authenticated>;
    person_export: "contacts", api::contacts::person_export_service_client::PersonExportServiceClient<Authenticated>;
    deals: "accounts", api::accounts::deals_service_client::DealsServiceClient<Authenticated>;
    contacts: "contacts", api::contacts::contacts_service_client::ContactsServiceClient<Authenticated>;
    planning: "planning", api::planning::planning_service_client::PlanningServiceClient<Authenticated>;
    reports: "analytics", api::analytics::reports_service_client::ReportsServiceClient<Authenticated>;
    clock: "accounts", ClockServiceClient<Authenticated>;
}

impl Client {
    /// The log of one service, which any address that serves it answers for.
    pub(crate) fn log(&self, service: &str) -> anyhow::Result<LogServiceClient<Authenticated>> {
        Ok(LogServiceClient::new(self.authenticated(service)?).max_decoding_message_size(64 << 20))
    }

    /// The views of one service, likewise.
    pub(crate) fn views(&self, service: &str) -> anyhow::Result<ViewsServiceClient<Authenticated>> {
        Ok(ViewsServiceClient::new(self.authenticated(service)?))
    }

    /// The clock of each address, with the service that it was named for: every process has its own.
    pub(crate) fn clocks(&self) -> impl Iterator<Item = (&str, ClockServiceClient<Authenticated>)> {
        self.channels.iter().map(|(service, channel)| {
            let authenticated = InterceptedService::new(channel.clone(), self.bearer.clone());
            (service.as_str(), ClockServiceClient::new(authenticated))
        })
    }

    fn authenticated(&self, service: &str) -> anyhow::Result<Authenticated> {
        Ok(InterceptedService::new(
            self.channel(service)?,
            self.bearer.clone(),
        ))
    }

    fn channel(&self, service: &str) -> anyhow::Result<Channel> {
        self.channels
            .get(service)
            .or_else(|| self.channels.get(""))
            .cloned()
            .with_context(|| format!("--server names no address for {service}"))
    }
}

impl Client {
    /// Waits until every service has seen what was recorded, so that the next command, to whichever
    /// service, may speak of it. Gives up after a minute: late is not wrong.
    pub(crate) async fn settle(&self, position: Position) -> anyhow::Result<()> {
        let min_positions = vec![position];
        let nobody = Uuid::nil().to_string();
        let until = Instant::now() + SETTLED_WITHIN;
        loop {
            let accounts = ListStaffRequest {
                min_positions: min_positions.clone(),
                ..ListStaffRequest::default()
            };
            let contacts = ListContactPersonsRequest {
                account_id: nobody.clone(),
                min_positions: min_positions.clone(),
            };
            let planning = GetTaskRequest {
                task_id: nobody.clone(),
                min_positions: min_positions.clone(),
            };
            let analytics = GetScorecardRequest {
                min_positions: min_positions.clone(),
                ..GetScorecardRequest::default()
            };
            let (mut s, mut c) = (self.staff()?, self.contacts()?);
            let (mut p, mut r) = (self.planning()?, self.reports()?);
            let (accounts, contacts, planning, analytics) = tokio::join!(
                s.list_staff(accounts),
                c.list_contact_persons(contacts),
                p.get_task(planning),
                r.get_scorecard(analytics),
            );
            // Each waits for its views first; whatever it then says of nobody is no matter.
            let refusals = [
                accounts.err(),
                contacts.err(),
                planning.err(),
                analytics.err(),
            ];
            let behind = refusals
                .into_iter()
                .flatten()
                .any(|status| status.code() == tonic::Code::Unavailable);
            if !behind || Instant::now() > until {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What an office answered, in words and with every field at fault.
#[derive(Debug)]
pub(crate) struct Refused(pub Status);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = self.0.get_error_details();
        match self.0.code() {
            tonic::Code::Unauthenticated => f.write_str("the office does not accept this token")?,
            tonic::Code::PermissionDenied => write!(f, "not allowed: {}", self.0.message())?,
            tonic::Code::Unavailable => {
                write!(f, "the office does not answer: {}", self.0.message())?;
            }
            _ => f.write_str(self.0.message())?,
        }
        for violation in details
            .bad_request()
            .map(|bad| bad.field_violations.as_slice())
            .unwrap_or_default()
        {
            write!(f, "\n  {}: {}", violation.field, violation.description)?;
        }
        if let Some(info) = details.error_info() {
            write!(f, " [{}]", info.reason)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Self(status)
    }
}
