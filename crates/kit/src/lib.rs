//! What every server needs around its domain: configuration, identity, rights, status codes,
//! paging, telemetry, clock, tasks, the directory of staff. One concern, one file.
//!
//! Knows no service: what a service does is its own.

mod answer;
mod auth;
mod connections;
mod ctx;
mod gate;
mod layer;
mod messages;
mod paging;
pub mod passwords;
mod rights;
mod serve;
mod status;
mod stream;
mod violations;
mod wire;

pub use auth::{Identity, KeyError, Principal, Tokens};
pub use ctx::Ctx;
pub use paging::{Page, Pages, fingerprint};
pub use rights::{Method, Rights, RightsError};
pub use serve::{Mounted, ServeError, serve};
pub use status::AppError;
pub use stream::{Closed, HEARTBEAT, Sender, StreamEnd, Streaming, stream};
pub use violations::Violations;
pub use wire::{instant, timestamp};

// The other half: the process and what runs in it.
mod clock;
mod clock_service;
pub mod config;
mod database;
mod directory;
mod keys;
mod log_service;
mod metrics;
pub mod migrate;
mod node;
mod peers;
mod recorded;
mod service;
mod tasks;
pub mod telemetry;
mod views;

pub use clock::{Clock, ClockRefusal};
pub use config::Config;
pub use directory::{
    AccountEntry, ClaimEntry, Directory, GroupEntry, Membership, Scope, Snapshot, StaffEntry,
};
pub use keys::create_keys;
pub use metrics::Metrics;
pub use node::{Node, Parts, StartError};
pub use peers::{Bearer, PeerChannel, Peers};
pub use service::Service;
pub use tasks::Tasks;
pub use views::Views;
