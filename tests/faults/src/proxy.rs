//! A TCP proxy that is not to be relied on.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::meanwhile;

/// What is wrong with the network at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Every piece takes this long, and up to as long again.
    Slow(Duration),
    /// Whatever is sent is swallowed, and nobody is told.
    BlackHole,
    /// Connections are reset, and new ones too.
    Reset,
}

/// How to tell that an answer has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// The first headers or data of a call; what keeps the connection alive is none.
    Http2,
    /// PostgreSQL sends nothing back before the statement, and its commit, is done.
    Postgres,
}

/// Ends with this value.
pub struct Proxy {
    address: SocketAddr,
    faults: watch::Sender<Fault>,
    replies: Arc<Replies>,
    _stop: DropGuard,
}

/// How many answers are still to be lost, and those that were.
#[derive(Default)]
struct Replies {
    to_lose: AtomicUsize,
    lost: Mutex<Vec<Vec<u8>>>,
}

impl Replies {
    fn lose_this_one(&self) -> bool {
        let taken = self
            .to_lose
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                left.checked_sub(1)
            });
        taken.is_ok()
    }

    fn keep(&self, content: Vec<u8>) {
        self.locked().push(content);
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    pub async fn start(upstream: &str, protocol: Protocol) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let faults = watch::Sender::new(Fault::None);
        let replies = Arc::<Replies>::default();
        let stop = CancellationToken::new();
        let way = Way {
            upstream: upstream.to_owned(),
            protocol,
            faults: faults.subscribe(),
            replies: Arc::clone(&replies),
        };
        detached(stop.clone(), accept(listener, way));
        Ok(Self {
            address,
            faults,
            replies,
            _stop: stop.drop_guard(),
        })
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    pub fn set(&self, fault: Fault) {
        self.faults.send_replace(fault);
    }

    /// The next answer never arrives: its connection is reset when all of it is here. It has been
    /// given, so whatever was asked for is done.
    pub fn lose_a_reply(&self) {
        self.replies.to_lose.fetch_add(1, Ordering::AcqRel);
    }

    /// What the lost answers said: the message of a gRPC call, nothing for PostgreSQL.
    pub fn lost(&self) -> Vec<Vec<u8>> {
        self.replies.locked().clone()
    }
}

#[expect(clippy::disallowed_methods, reason = "no task of a service")]
fn detached(stop: CancellationToken, work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(async move {
        stop.run_until_cancelled(work).await;
    });
}

#[derive(Clone)]
struct Way {
    upstream: String,
    protocol: Protocol,
    faults: watch::Receiver<Fault>,
    replies: Arc<Replies>,
}

async fn accept(listener: TcpListener, way: Way) {
    // Its end is the end of all connections.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(connection(client, way.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(client: TcpStream, way: Way) {
    let Ok(server) = TcpStream::connect(&way.upstream).await else {
        return;
    };
    // Whoever is dropped first is reset, not closed: no end of the stream to be mistaken for one.
    for end in [&client, &server] {
        let _ = end.set_nodelay(true);
        let _ = end.set_zero_linger();
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut resets = way.faults.clone();
    tokio::select! {
        () = pump(from_client, to_server, way.faults.clone(), None) => {}
        () = pump(from_server, to_client, way.faults, Some((way.protocol, way.replies))) => {}
        _ = resets.wait_for(|fault| *fault == Fault::Reset) => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    faults: watch::Receiver<Fault>,
    replies: Option<(Protocol, Arc<Replies>)>,
) {
    let mut frames = Frames::default();
    let mut losing = false;
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let piece = &buffer[..read];
        if let Some((protocol, replies)) = &replies {
            let answer = match protocol {
                Protocol::Http2 => frames.read(piece),
                Protocol::Postgres => Answer::Over(Vec::new()),
            };
            losing = losing || (answer != Answer::None && replies.lose_this_one());
            match answer {
                Answer::Over(content) if losing => {
                    replies.keep(content);
                    return;
                }
                _ if losing => continue,
                _ => {}
            }
        }
        let fault = *faults.borrow();
        match fault {
            Fault::None => {}
            Fault::Slow(least) => meanwhile(least.mul_f64(1.0 + fastrand::f64())).await,
            Fault::BlackHole => continue,
            Fault::Reset => return,
        }
        if to.write_all(piece).await.is_err() {
            return;
        }
    }
}

/// What a piece of a connection has of an answer.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    None,
    Begun,
    /// With its message.
    Over(Vec<u8>),
}

/// As much of HTTP/2 as tells frames apart, for one call at a time.
#[derive(Default)]
struct Frames {
    header: Vec<u8>,
    /// Of the frame's content, still to come.
    left: usize,
    /// Length prefix and message of the answer that is coming.
    content: Vec<u8>,
}

impl Frames {
    const HEADER: usize = 9;
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const END_OF_STREAM: u8 = 1;
    /// A flag for compression, and the length.
    const PREFIX: usize = 5;

    fn read(&mut self, mut piece: &[u8]) -> Answer {
        let mut answer = Answer::None;
        while let Some(byte) = piece.first() {
            if self.left == 0 {
                self.header.push(*byte);
                piece = &piece[1..];
                let [a, b, c, kind, flags, stream @ ..] = self.header.as_slice() else {
                    continue;
                };
                if self.header.len() < Self::HEADER {
                    continue;
                }
                let of_a_call = stream.iter().any(|byte| *byte != 0);
                if of_a_call && matches!(*kind, Self::DATA | Self::HEADERS) {
                    answer = Answer::Begun;
                    if flags & Self::END_OF_STREAM != 0 {
                        let content = std::mem::take(&mut self.content);
                        let message = content.get(Self::PREFIX..).unwrap_or_default();
                        answer = Answer::Over(message.to_vec());
                    }
                }
                self.left = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
                if self.left == 0 {
                    self.header.clear();
                }
            } else {
                let (content, rest) = piece.split_at(self.left.min(piece.len()));
                if self.header.get(3) == Some(&Self::DATA) {
                    self.content.extend_from_slice(content);
                }
                self.left -= content.len();
                piece = rest;
                if self.left == 0 {
                    self.header.clear();
                }
            }
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, content: &[u8]) -> Vec<u8> {
        let mut frame = vec![0, 0, content.len() as u8, kind, flags, 0, 0, 0, stream];
        frame.extend_from_slice(content);
        frame
    }

    #[test]
    fn an_answer_is_told_from_what_keeps_a_connection_alive() {
        const SETTINGS: u8 = 4;
        const WINDOW_UPDATE: u8 = 8;
        let mut quiet = frame(SETTINGS, 0, 0, &[1; 12]);
        quiet.extend(frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]));
        let mut answer = frame(Frames::HEADERS, 0, 1, b"status");
        answer.extend(frame(Frames::DATA, 0, 1, &[0, 0, 0, 0, 3, 7, 8, 9]));
        let last = frame(Frames::HEADERS, Frames::END_OF_STREAM, 1, b"trailers");

        let mut frames = Frames::default();
        for byte in &quiet {
            assert_eq!(frames.read(&[*byte]), Answer::None);
        }
        assert_eq!(frames.read(&[quiet, answer].concat()), Answer::Begun);
        assert_eq!(frames.read(&last), Answer::Over(vec![7, 8, 9]));
        assert_eq!(frames.read(&frame(SETTINGS, 1, 0, &[])), Answer::None);
    }
}
