//! Services in the process of a test, and how the test calls them.

use std::{future::pending, sync::Arc, time::Duration};

use anyhow::Result;
use kit::{
    Config, Identity, Mounted, Node, Tokens,
    config::{ClockMode, Storage},
};
use sqlx::migrate::Migrator;
use tempfile::TempDir;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use vocabulary::StaffId;

use crate::{Database, Nats, Postgres};

const TOKEN_LIFE: Duration = Duration::from_mins(10);

/// What a node stands on: databases, a bus and keys of its own. It may outlive the node.
pub struct Ground {
    /// In the order of the services.
    pub databases: Vec<Database>,
    services: &'static [&'static str],
    nats: Nats,
    keys: TempDir,
}

impl Ground {
    /// With a migrated database for each of these services.
    pub async fn new(services: &'static [&'static str], migrator: &Migrator) -> Result<Self> {
        let postgres = Postgres::shared().await?;
        let mut databases = Vec::new();
        for _ in services {
            databases.push(postgres.fresh_database(migrator).await?);
        }
        let keys = TempDir::new()?;
        kit::create_keys(keys.path())?;
        Ok(Self {
            databases,
            services,
            nats: Nats::start().await?,
            keys,
        })
    }

    /// Of a node on a free port, whose clock stands at this moment until it is set.
    pub fn config(&self, now: &str) -> Result<Config> {
        let mut config = Config::default();
        config.server.listen.set_port(0);
        for (service, database) in self.services.iter().zip(&self.databases) {
            let url = database.url.clone().into();
            config.database.urls.insert(*service, url);
        }
        config.nats.url = self.nats.url().into();
        self.keys.path().clone_into(&mut config.keys.folder);
        config.documents.storage = Storage::Folder(self.keys.path().join("documents"));
        config.clock.mode = ClockMode::Controlled;
        config.clock.start = Some(now.parse()?);
        Ok(config)
    }
}

/// The way to a node that answers.
pub struct Door {
    /// For who has no token.
    pub channel: Channel,
    tokens: Arc<Tokens>,
}

/// A channel with the token of somebody.
pub type Caller = InterceptedService<Channel, Bearer>;

/// Puts a token beside every request.
#[derive(Clone)]
pub struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let token = self.0.clone();
        request.metadata_mut().insert("authorization", token);
        Ok(request)
    }
}

impl Door {
    /// Lets the node answer from now on, until it stops.
    pub async fn open(node: &Node, mounted: Vec<Mounted>) -> Result<Self> {
        let server = node.clone();
        node.tasks.spawn_to_end("server", async move {
            if let Err(error) = kit::serve(&server, mounted, pending()).await {
                server.tasks.fail("server", &error.to_string());
            }
        });
        #[expect(
            clippy::disallowed_methods,
            reason = "the caller is outside and has no peers"
        )]
        let channel = Endpoint::from_shared(format!("http://{}", node.address()))?
            .connect()
            .await?;
        Ok(Self {
            channel,
            tokens: Arc::clone(&node.tokens),
        })
    }

    /// As one of the staff, by external id.
    pub fn staff(&self, external_id: &str) -> Result<Caller> {
        let identity = Identity::Staff(StaffId::of_external(external_id));
        let (token, _) = self.tokens.issue(&identity, TOKEN_LIFE)?;
        self.with(&token)
    }

    /// With any token at all.
    pub fn with(&self, token: &str) -> Result<Caller> {
        let bearer = Bearer(format!("Bearer {token}").parse()?);
        Ok(InterceptedService::new(self.channel.clone(), bearer))
    }
}
