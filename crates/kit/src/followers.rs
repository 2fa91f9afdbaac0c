//! The views and reactions of a service as an operator sees them, whatever their types.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use es::Recorded;
use es_postgres::projection::{
    ApplyError, Projection, Reaction, Version, retry_parked, retry_parked_reaction,
};
use futures::{FutureExt, future::BoxFuture};

use crate::Service;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    View,
    Reaction,
}

pub(crate) trait Follower: Send + Sync {
    fn name(&self) -> &'static str;
    fn kind(&self) -> Kind;
    fn sources(&self) -> &'static [&'static str];
    fn by_stream(&self) -> bool;
    /// Takes parked events up again; `name` is a version's where it is a view.
    fn retry<'a>(
        &'a self,
        service: &'a Service,
        name: &'a str,
        source: &'a str,
    ) -> BoxFuture<'a, Result<usize, ApplyError>>;

    /// The names under which events of it may be parked.
    fn names(&self) -> Vec<String> {
        let live = self.name().to_owned();
        match self.kind() {
            Kind::Reaction => vec![live],
            Kind::View => {
                let versions = [Version::Next, Version::Former];
                std::iter::once(live)
                    .chain(versions.map(|version| version.of(self.name())))
                    .collect()
            }
        }
    }
}

pub(crate) struct View<P>(pub(crate) Arc<P>);
pub(crate) struct Rule<R>(pub(crate) Arc<R>);

impl<P: Projection> Follower for View<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn kind(&self) -> Kind {
        Kind::View
    }

    fn sources(&self) -> &'static [&'static str] {
        P::SOURCES
    }

    fn by_stream(&self) -> bool {
        P::BY_STREAM
    }

    fn retry<'a>(
        &'a self,
        service: &'a Service,
        name: &'a str,
        source: &'a str,
    ) -> BoxFuture<'a, Result<usize, ApplyError>> {
        let read = move |position| event(service, source, position, P::PERSONAL);
        retry_parked(service.pool(), name, self.0.as_ref(), source, read).boxed()
    }
}

impl<R: Reaction> Follower for Rule<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn kind(&self) -> Kind {
        Kind::Reaction
    }

    fn sources(&self) -> &'static [&'static str] {
        R::SOURCES
    }

    fn by_stream(&self) -> bool {
        false
    }

    fn retry<'a>(
        &'a self,
        service: &'a Service,
        _: &'a str,
        source: &'a str,
    ) -> BoxFuture<'a, Result<usize, ApplyError>> {
        let read = move |position| event(service, source, position, false);
        retry_parked_reaction(service.pool(), self.0.as_ref(), source, read).boxed()
    }
}

/// One event as the source of a view or reaction would give it.
async fn event(
    service: &Service,
    source: &str,
    position: i64,
    personal: bool,
) -> Result<Recorded, ApplyError> {
    let absent = || ApplyError::Transient(format!("{source} did not give {position}"));
    let found = service.sealed_event(source, position).await?;
    let (_, mut event) = found.ok_or_else(absent)?;
    if personal && source == service.name() {
        let events = std::slice::from_mut(&mut event);
        service.log.open_personal(events).await?;
    }
    Ok(event)
}

/// Those of one service. They belong to their tasks: what they refer to may refer to the service.
#[derive(Clone, Default)]
pub(crate) struct Followers(Arc<Mutex<Vec<Weak<dyn Follower>>>>);

impl Followers {
    pub(crate) fn add(&self, follower: &Arc<dyn Follower>) {
        self.locked().push(Arc::downgrade(follower));
    }

    /// In the order in which they were added.
    pub(crate) fn all(&self) -> Vec<Arc<dyn Follower>> {
        self.locked().iter().filter_map(Weak::upgrade).collect()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Vec<Weak<dyn Follower>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
