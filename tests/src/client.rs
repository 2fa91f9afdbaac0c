//! The public API as one caller, over gRPC.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

use anyhow::{Context, anyhow};
use api::{
    accounts::{
        access_service_client::AccessServiceClient, accounts_service_client::AccountsServiceClient,
        cards_service_client::CardsServiceClient, catalogue_service_client::CatalogueServiceClient,
        deals_service_client::DealsServiceClient, documents_service_client::DocumentsServiceClient,
        duplicates_service_client::DuplicatesServiceClient,
        export_service_client::ExportServiceClient, history_service_client::HistoryServiceClient,
        identity_service_client::IdentityServiceClient,
        imports_service_client::ImportsServiceClient, orders_service_client::OrdersServiceClient,
        policy_service_client::PolicyServiceClient,
        prospects_service_client::ProspectsServiceClient,
        saved_views_service_client::SavedViewsServiceClient,
        staff_service_client::StaffServiceClient, transfers_service_client::TransfersServiceClient,
    },
    analytics::reports_service_client::ReportsServiceClient,
    clock::clock_service_client::ClockServiceClient,
    contacts::{
        contacts_service_client::ContactsServiceClient,
        person_export_service_client::PersonExportServiceClient,
    },
    log::log_service_client::LogServiceClient,
    notifications::{
        reminders_service_client::RemindersServiceClient,
        webhooks_service_client::WebhooksServiceClient,
    },
    planning::{
        data_entry_service_client::DataEntryServiceClient,
        planning_service_client::PlanningServiceClient,
    },
};
use tokio::runtime::Runtime;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

/// The services of an installation; each has a log of this name.
pub const SERVICES: [&str; 5] = [
    "accounts",
    "contacts",
    "planning",
    "notifications",
    "analytics",
];

/// Where each service answers.
pub type Addresses = BTreeMap<&'static str, String>;

/// Puts a token, and a trace when there is one, on every call.
#[derive(Clone, Default)]
pub struct Credentials {
    bearer: Option<MetadataValue<Ascii>>,
    pub traceparent: Option<MetadataValue<Ascii>>,
    pub language: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for (name, value) in [
            ("authorization", &self.bearer),
            ("traceparent", &self.traceparent),
            ("accept-language", &self.language),
        ] {
            if let Some(value) = value {
                request.metadata_mut().insert(name, value.clone());
            }
        }
        Ok(request)
    }
}

/// Connections live on a thread of their own: tests hold up theirs while they run commands, and a
/// server drops a caller that does not answer its pings.
static CONNECTIONS: LazyLock<std::io::Result<Runtime>> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build()
});

struct Apart(&'static Runtime);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Apart {
    fn execute(&self, connection: F) {
        self.0.spawn(connection);
    }
}

pub type Authenticated = InterceptedService<Channel, Credentials>;

/// All services as one caller.
#[derive(Clone)]
pub struct Client {
    channels: Arc<BTreeMap<&'static str, Channel>>,
    /// For what belongs to no service and so is answered by any.
    any: Channel,
    pub credentials: Credentials,
}

macro_rules! clients {
    ($($name:ident: $service:literal, $client:ident;)*) => {
        impl Client {
            $(pub fn $name(&self) -> $client<Authenticated> {
                $client::new(self.authenticated($service))
            })*
        }
    };
}

clients! {
    access: "accounts", AccessServiceClient;
    identity: "accounts", IdentityServiceClient;
    staff: "accounts", StaffServiceClient;
    accounts: "accounts", AccountsServiceClient;
    cards: "accounts", CardsServiceClient;
    catalogue: "accounts", CatalogueServiceClient;
    deals: "accounts", DealsServiceClient;
    documents: "accounts", DocumentsServiceClient;
    duplicates: "accounts", DuplicatesServiceClient;
    imports: "accounts", ImportsServiceClient;
    orders: "accounts", OrdersServiceClient;
    prospects: "accounts", ProspectsServiceClient;
    saved_views: "accounts", SavedViewsServiceClient;
    transfers: "accounts", TransfersServiceClient;
    policy: "accounts", PolicyServiceClient;
    export: "accounts", ExportServiceClient;
    history: "accounts", HistoryServiceClient;
    person_export: "contacts", PersonExportServiceClient;
    contacts: "contacts", ContactsServiceClient;
    data_entry: "planning", DataEntryServiceClient;
    planning: "planning", PlanningServiceClient;
    reminders: "notifications", RemindersServiceClient;
    webhooks: "notifications", WebhooksServiceClient;
    reports: "analytics", ReportsServiceClient;
}

impl Client {
    /// All services at one address.
    pub fn new(grpc: &str, token: Option<&str>) -> anyhow::Result<Self> {
        let addresses = SERVICES.map(|service| (service, grpc.to_owned())).into();
        Self::at(&addresses, token)
    }

    #[expect(clippy::disallowed_methods, reason = "a client from outside")]
    pub fn at(addresses: &Addresses, token: Option<&str>) -> anyhow::Result<Self> {
        let connections = CONNECTIONS.as_ref().map_err(|error| anyhow!("{error}"))?;
        let mut channels = BTreeMap::new();
        for (service, address) in addresses {
            let endpoint = Endpoint::from_shared(format!("http://{address}"))?
                .connect_timeout(Duration::from_secs(5))
                .executor(Apart(connections));
            channels.insert(*service, endpoint.connect_lazy());
        }
        let bearer = token
            .map(|token| format!("Bearer {token}").parse())
            .transpose()?;
        Ok(Self {
            any: channels.get("accounts").context("no address")?.clone(),
            channels: Arc::new(channels),
            credentials: Credentials {
                bearer,
                ..Credentials::default()
            },
        })
    }

    /// In the language of this header, as a browser sends it.
    #[must_use]
    pub fn speaking(mut self, language: &str) -> Self {
        self.credentials.language = language.parse().ok();
        self
    }

    /// The log of one service.
    pub fn log(&self, service: &str) -> LogServiceClient<Authenticated> {
        LogServiceClient::new(self.authenticated(service)).max_decoding_message_size(64 << 20)
    }

    /// The clock of the process of one service.
    pub fn clock(&self, service: &str) -> ClockServiceClient<Authenticated> {
        ClockServiceClient::new(self.authenticated(service))
    }

    /// The same caller, with what belongs to no service asked of this one.
    #[must_use]
    pub fn of(mut self, service: &str) -> Self {
        if let Some(channel) = self.channels.get(service) {
            self.any = channel.clone();
        }
        self
    }

    /// The way to one service, for calls by path.
    pub fn authenticated(&self, service: &str) -> Authenticated {
        let channel = self.channels.get(service).unwrap_or(&self.any);
        InterceptedService::new(channel.clone(), self.credentials.clone())
    }
}
