//! One service: its log, its read models, its reactions, and what its handlers need of them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use api::common;
use chrono_tz::Tz;
use es::{Aggregate, Recorded};
use es_postgres::{
    Log, Outcome,
    projection::{
        ApplyError, OwnLog, Progress, Projection, Reached, Reaction, RunError, Source, prepare,
        run_projection, run_reaction,
    },
};
use prost::Message;
use sqlx::{PgPool, migrate::Migrator};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};
use vocabulary::{AccountId, StaffId};

use crate::{
    AppError, Ctx, Node, Page, StartError,
    ctx::{self, Call},
    database,
    directory::{AccountEntry, Directory, DirectoryView, StaffEntry},
    views::Views,
};

/// Clones share everything.
#[derive(Clone)]
pub struct Service {
    pub log: Log,
    pub views: Views,
    pub directory: Directory,
    pub node: Node,
    reactions: Progress,
}

impl Service {
    /// Opens the log of a migrated database, lets the relay publish it, and follows the directory.
    pub async fn open(
        node: &Node,
        name: &'static str,
        migrator: &'static Migrator,
    ) -> Result<Self, StartError> {
        let pool = database::pool(&node.config.database, name)?;
        database::check_migrated(&pool, name, migrator).await?;
        let log = Log::open(pool.clone(), name, node.master_key())
            .await
            .map_err(|source| StartError::Log {
                service: name,
                source,
            })?;
        let directory = Directory::new(pool.clone());
        let service = Self {
            views: Views::new(pool, directory.clone()),
            directory,
            reactions: Progress::default(),
            node: node.clone(),
            log,
        };
        node.add_log(&service.log);
        let metrics = &node.metrics;
        metrics.follow_views("projection", name, service.views.progress());
        metrics.follow_views("reaction", name, &service.reactions);
        service.start_relay();
        service.project(DirectoryView).await?;
        service.start_directory();
        Ok(service)
    }

    /// `accounts`, `planning`, …
    pub fn name(&self) -> &'static str {
        self.log.service()
    }

    pub fn pool(&self) -> &PgPool {
        self.log.pool()
    }

    /// Dates are days of this zone.
    pub fn zone(&self) -> Tz {
        self.node.config.company.time_zone
    }

    fn start_relay(&self) {
        let published = watch::Sender::new(0);
        let receiver = published.subscribe();
        let head = self.log.head();
        self.node.metrics.follow_relay(self.name(), head, receiver);
        let (tasks, jetstream) = (&self.node.tasks, self.node.jetstream.clone());
        let relay = bus::run_relay(self.log.clone(), jetstream, published, tasks.stopping());
        tasks.spawn_to_end(format!("{} relay", self.name()), relay);
    }

    fn start_directory(&self) {
        let progress = self.views.progress().clone();
        let directory = self.directory.clone();
        self.node
            .tasks
            .spawn_restarting(format!("{} directory", self.name()), move || {
                let reached = progress.sender(DirectoryView::NAME, "accounts").subscribe();
                directory.clone().follow(reached)
            });
    }

    /// Prepares a view's tables and keeps it up to date from now on.
    pub async fn project<P: Projection>(&self, view: P) -> Result<(), StartError> {
        prepare::<P>(self.pool())
            .await
            .map_err(|source| StartError::Database {
                service: self.name(),
                source,
            })?;
        let view = Arc::new(view);
        for source in P::SOURCES {
            let progress = self.views.progress().sender(P::NAME, source);
            let counted = self.views.clone().count(P::NAME, progress.subscribe());
            self.node
                .tasks
                .spawn(format!("{} {} changes", self.name(), P::NAME), counted);
            let (pool, view) = (self.pool().clone(), Arc::clone(&view));
            if *source == self.name() {
                let log = OwnLog::new(self.log.clone());
                self.run(P::NAME, source, |stop| {
                    run_projection(pool, view, log, progress, stop)
                });
            } else {
                let log = self.foreign(source, P::NAME);
                self.run(P::NAME, source, |stop| {
                    run_projection(pool, view, log, progress, stop)
                });
            }
        }
        Ok(())
    }

    /// Lets a rule react to every event of its sources from now on.
    pub fn react<R: Reaction>(&self, reaction: R) {
        let reaction = Arc::new(reaction);
        for source in R::SOURCES {
            let progress = self.reactions.sender(R::NAME, source);
            let (pool, reaction) = (self.pool().clone(), Arc::clone(&reaction));
            if *source == self.name() {
                let log = OwnLog::new(self.log.clone());
                self.run(R::NAME, source, |stop| {
                    run_reaction(pool, reaction, log, progress, stop)
                });
            } else {
                let log = self.foreign(source, R::NAME);
                self.run(R::NAME, source, |stop| {
                    run_reaction(pool, reaction, log, progress, stop)
                });
            }
        }
    }

    fn foreign(&self, source: &'static str, purpose: &str) -> impl Source + use<> {
        let jetstream = self.node.jetstream.clone();
        let fetch = self.node.peers.fetch(source);
        bus::Foreign::new(jetstream, source, self.name(), purpose, fetch)
    }

    /// A runner waits out whatever passes; when it gives up, the process is not healthy any more.
    fn run<F>(&self, view: &str, source: &str, runner: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = Result<(), RunError>> + Send + 'static,
    {
        let name = format!("{} {view} from {source}", self.name());
        let tasks = self.node.tasks.clone();
        let runner = runner(tasks.stopping());
        self.node.tasks.spawn_to_end(name.clone(), async move {
            if let Err(error) = runner.await {
                tasks.fail(&name, &error.to_string());
            }
        });
    }

    /// Counts up whenever the view has moved: look again, and send what is new to a stream.
    pub fn view_changed<P: Projection>(&self) -> watch::Receiver<i64> {
        self.views.changed(P::NAME)
    }

    /// How far a view or a reaction has got in a log.
    pub fn reached(&self, view: &'static str, source: &'static str) -> Option<Reached> {
        self.views
            .progress()
            .reached(view, source)
            .or_else(|| self.reactions.reached(view, source))
    }

    /// Opens a request that changes something.
    #[expect(clippy::unused_async, reason = "all three are called alike")]
    pub async fn command<T: api::Command + Message>(
        &self,
        request: Request<T>,
    ) -> Result<(Ctx, T), Status> {
        let (now, directory) = (self.node.clock.now(), self.directory.snapshot());
        ctx::open_command(request, now, self.zone(), directory)
    }

    /// Opens a request that reads, once the views have got to where the caller has seen them.
    pub async fn query<T: api::Query>(&self, request: Request<T>) -> Result<(Ctx, T), Status> {
        let wanted = request.get_ref().min_positions();
        if !wanted.is_empty() {
            let deadline = request.extensions().get::<Call>().map(|call| call.deadline);
            let left = deadline.map_or(Duration::MAX, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            self.views.reached(wanted, left).await?;
        }
        self.plain(request).await
    }

    /// Opens a request that does neither.
    #[expect(clippy::unused_async, reason = "all three are called alike")]
    pub async fn plain<T>(&self, request: Request<T>) -> Result<(Ctx, T), Status> {
        let (now, directory) = (self.node.clock.now(), self.directory.snapshot());
        ctx::open(request, now, self.zone(), directory)
    }

    /// What a command left in our log.
    pub fn recorded<A: Aggregate>(&self, outcome: &Outcome<A>) -> common::Recorded {
        common::Recorded {
            position: Some(self.position(outcome.position)),
            version: outcome.version,
        }
    }

    /// A place in our log.
    pub fn position(&self, position: i64) -> common::Position {
        common::Position {
            service: self.name().to_owned(),
            position,
        }
    }

    /// Which part of a list is asked for. `filter`: everything else in the request, as
    /// [`fingerprint`](crate::fingerprint) makes it.
    pub fn page<'a>(
        &self,
        request: impl Into<Option<&'a common::PageRequest>>,
        filter: impl AsRef<[u8]>,
    ) -> Result<Page, AppError> {
        self.node.pages.open(request, filter)
    }

    /// An event of another service with its personal fields opened, for a reaction that needs them.
    pub async fn opened_event(&self, source: &str, position: i64) -> Result<Recorded, ApplyError> {
        self.node.peers.opened_event(source, position).await
    }

    /// The account, if the caller sees it; what is hidden is answered as what is not there.
    pub async fn visible_account(
        &self,
        ctx: &Ctx,
        id: AccountId,
    ) -> Result<AccountEntry, AppError> {
        self.known_account(id)
            .await?
            .filter(|account| account.is_visible(ctx.sees(), ctx.now))
            .ok_or(AppError::NotFound { what: "account" })
    }

    /// Whose the account is. One that was made a moment ago is known too.
    pub async fn known_account(&self, id: AccountId) -> Result<Option<AccountEntry>, AppError> {
        Ok(self.known_accounts(&[id]).await?.remove(&id))
    }

    /// Those of the accounts that exist, by the id asked for.
    pub async fn known_accounts(
        &self,
        ids: &[AccountId],
    ) -> Result<HashMap<AccountId, AccountEntry>, AppError> {
        let known = self.directory.accounts(ids).await?;
        if ids.iter().all(|id| known.contains_key(id)) {
            return Ok(known);
        }
        self.catch_up().await?;
        Ok(self.directory.accounts(ids).await?)
    }

    /// A member of staff. One who was hired a moment ago is known too.
    pub async fn known_staff(&self, id: StaffId) -> Result<Option<StaffEntry>, AppError> {
        if let Some(entry) = self.directory.snapshot().staff(id) {
            return Ok(Some(entry.clone()));
        }
        self.catch_up().await?;
        Ok(self.directory.snapshot().staff(id).cloned())
    }

    /// Waits until the directory has all that accounts has recorded so far: only then is what it
    /// does not know really not there.
    pub async fn catch_up(&self) -> Result<(), AppError> {
        let head = if self.name() == "accounts" {
            self.log.refresh_head().await?
        } else {
            self.node.peers.head("accounts").await?
        };
        self.views.directory_reached(head).await
    }
}

impl From<AppError> for ApplyError {
    /// For reactions: what may pass is tried again.
    fn from(error: AppError) -> Self {
        let text = format!("{}: {error}", error.reason());
        match error {
            AppError::Unavailable(_)
            | AppError::ViewBehind
            | AppError::DeadlineExceeded
            | AppError::Exhausted { .. }
            | AppError::Stale { .. } => Self::Transient(text),
            _ => Self::Poison(text),
        }
    }
}
