//! Answers that arrive in parts, for as long as the caller listens.
//!
//! A producer runs as a task and hands over part by part through a short queue: a slow caller
//! slows its own producer and nobody else. The layer ends the stream when the server stops, when
//! the token ends and when the rights of the caller change; the producer then ends at its next
//! `send`, or at once if it waits on [`Sender::closed`].

use std::{future::Future, pin::Pin, time::Duration};

use futures::Stream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};

use crate::{AppError, Node};

/// What generated traits want as the type of a stream.
pub type Streaming<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// How often a quiet stream shows that it is alive.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

const QUEUE: usize = 16;

/// Hands parts to the caller.
#[derive(Debug)]
pub struct Sender<T>(mpsc::Sender<Result<T, Status>>);

/// The caller has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

impl<T> Sender<T> {
    /// Waits until the caller has taken enough of what was sent before.
    pub async fn send(&self, part: T) -> Result<(), Closed> {
        self.0.send(Ok(part)).await.map_err(|_| Closed)
    }

    /// Returns when the caller has gone.
    pub async fn closed(&self) {
        self.0.closed().await;
    }

    /// Waits for `next`; meanwhile sends `heartbeat()` now and then. `Err` when the caller has
    /// gone.
    pub async fn alive<O>(
        &self,
        next: impl Future<Output = O>,
        heartbeat: impl Fn() -> T,
    ) -> Result<O, Closed> {
        let mut next = std::pin::pin!(next);
        loop {
            tokio::select! {
                output = &mut next => return Ok(output),
                () = self.closed() => return Err(Closed),
                () = tokio::time::sleep(HEARTBEAT) => self.send(heartbeat()).await?,
            }
        }
    }
}

/// Answers with what `produce` sends. An error becomes the status that ends the stream.
pub fn stream<T, F, P>(node: &Node, name: &'static str, produce: P) -> Response<Streaming<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<(), StreamEnd>> + Send + 'static,
    P: FnOnce(Sender<T>) -> F,
{
    let (sender, receiver) = mpsc::channel(QUEUE);
    let last = sender.clone();
    let produced = produce(Sender(sender));
    node.tasks.spawn(name, async move {
        if let Err(StreamEnd::Failed(error)) = produced.await {
            // Nobody is left to tell when this fails.
            let _ = last.send(Err(error.into())).await;
        }
    });
    Response::new(Box::pin(ReceiverStream::new(receiver)))
}

/// Why a producer ended early; `?` makes it from either.
#[derive(Debug)]
pub enum StreamEnd {
    Closed,
    Failed(AppError),
}

impl From<Closed> for StreamEnd {
    fn from(Closed: Closed) -> Self {
        Self::Closed
    }
}

impl<E: Into<AppError>> From<E> for StreamEnd {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}
