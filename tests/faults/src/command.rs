//! One command as bytes: what is sent again is what was sent before, and answers are compared as
//! they came.

use std::{fmt, sync::Arc, time::Duration};

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use prost::Message;
use tests::client::Client;
use tokio::time::timeout;
use tonic::{
    Code, Request, Response, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};
use uuid::Uuid;

use crate::{
    ledger::{Ledger, Line, Outcome, Told},
    meanwhile,
};

/// A caller gives up waiting after this and does not know what became of the command.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(20);

/// A command of one caller.
#[derive(Clone)]
pub struct Command {
    pub id: Uuid,
    pub service: &'static str,
    /// `/kontakty.contacts.v1.ContactsService/LogInteraction`
    pub path: &'static str,
    pub stream: Option<String>,
    pub expected: Option<i64>,
    request: Bytes,
    told: fn(&[u8]) -> Option<Told>,
}

impl Command {
    pub fn new(
        id: Uuid,
        service: &'static str,
        path: &'static str,
        request: &impl Message,
        told: fn(&[u8]) -> Option<Told>,
    ) -> Self {
        Self {
            id,
            service,
            path,
            stream: None,
            expected: None,
            request: request.encode_to_vec().into(),
            told,
        }
    }

    #[must_use]
    pub fn of_stream(mut self, stream: String, expected: Option<i64>) -> Self {
        self.stream = Some(stream);
        self.expected = expected;
        self
    }

    /// The same content under another id, as from a caller who does not say that it is a retry.
    #[must_use]
    pub fn under(&self, id: Uuid) -> Self {
        let (old, new) = (self.id.to_string(), id.to_string());
        let mut request = self.request.to_vec();
        // Texts of the same length, so the rest of the message stays as it is.
        if let Some(at) = request
            .windows(old.len())
            .position(|part| part == old.as_bytes())
        {
            request[at..at + new.len()].copy_from_slice(new.as_bytes());
        }
        Self {
            request: request.into(),
            ..self.clone()
        }
    }

    /// One attempt.
    pub async fn send(&self, client: &Client) -> Result<Bytes, Refused> {
        let mut grpc = Grpc::new(client.authenticated(self.service));
        let mut request = Request::new(self.request.clone());
        request.set_timeout(PATIENCE);
        let call = async {
            grpc.ready().await.map_err(|error| Refused {
                code: Code::Unavailable,
                text: error.to_string(),
            })?;
            let path = PathAndQuery::from_static(self.path);
            let answer = grpc.unary(request, path, AsBytes).await;
            answer.map(Response::into_inner).map_err(Refused::from)
        };
        // The server's own limit answers first; this is for connections that swallow everything.
        match timeout(PATIENCE + Duration::from_secs(1), call).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(Refused {
                code: Code::DeadlineExceeded,
                text: "silence".to_owned(),
            }),
        }
    }
}

/// A call without an answer that says what was done.
#[derive(Debug)]
pub struct Refused {
    pub code: Code,
    pub text: String,
}

impl Refused {
    /// Whether it says for certain that nothing was and will be done.
    pub fn is_final(&self) -> bool {
        matches!(
            self.code,
            Code::InvalidArgument
                | Code::NotFound
                | Code::AlreadyExists
                | Code::PermissionDenied
                | Code::FailedPrecondition
                | Code::Aborted
                | Code::Unimplemented
        )
    }
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Self {
            code: status.code(),
            text: status.message().to_owned(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.code, self.text)
    }
}

/// A caller with a ledger.
#[derive(Clone)]
pub struct Caller {
    pub user: String,
    pub client: Client,
    pub ledger: Arc<Ledger>,
    pub retries: Retries,
}

/// What a caller does who does not know what became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retries {
    /// Sends it again, as the contract says.
    SameId,
    /// Sends it as if it were another one: the protection is off, and a control expects doubles.
    FreshId,
}

impl Caller {
    /// Sends until it is known what became of the command, or `stop` says to leave it open.
    pub async fn settle(
        &self,
        command: &Command,
        stop: impl Fn() -> bool,
    ) -> anyhow::Result<Outcome> {
        let mut attempt = 1;
        loop {
            let outcome = self.attempt(command, attempt).await?;
            if !matches!(outcome, Outcome::Unknown { .. }) || stop() {
                return Ok(outcome);
            }
            attempt += 1;
            meanwhile(PAUSE).await;
        }
    }

    pub async fn attempt(&self, command: &Command, attempt: u32) -> anyhow::Result<Outcome> {
        self.ledger.write(&Line::Sent {
            cmd: command.id,
            attempt,
            user: self.user.clone(),
            service: command.service.to_owned(),
            method: command.path.to_owned(),
            stream: command.stream.clone(),
            expected: command.expected,
            invoked_ms: self.ledger.now_ms(),
        })?;
        let sent = match (self.retries, attempt) {
            (Retries::FreshId, 2..) => &command.under(Uuid::from_u128(fastrand::u128(..))),
            (Retries::SameId | Retries::FreshId, _) => command,
        };
        let outcome = match sent.send(&self.client).await {
            Ok(answer) => match (command.told)(&answer) {
                Some(told) => Outcome::Ok {
                    told,
                    answer: hex::encode(&answer),
                },
                None => anyhow::bail!("{} answered with something else", command.path),
            },
            Err(refused) if refused.is_final() => Outcome::Failed {
                code: refused.to_string(),
            },
            Err(refused) => Outcome::Unknown {
                code: refused.to_string(),
            },
        };
        self.ledger.write(&Line::Ended {
            cmd: command.id,
            attempt,
            outcome: outcome.clone(),
            ended_ms: self.ledger.now_ms(),
        })?;
        Ok(outcome)
    }
}

/// Messages as they travel.
struct AsBytes;

impl Codec for AsBytes {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for AsBytes {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for AsBytes {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
