//! What every server needs around its domain: configuration, identity, rights, status codes,
//! paging, telemetry, clock, tasks, logs and views over gRPC, imports, erasure, the directory of
//! staff and owners. One concern, one file, with a folder beside it where it has parts.
//!
//! Of the services it knows their names, and the events that concern all of them: of accounts those
//! about staff, owners and claims, of contacts those about erasures. What a service does is its
//! own.

mod answer;
mod auth;
mod connections;
mod ctx;
mod ed25519;
mod gate;
mod layer;
mod messages;
mod paging;
mod rights;
mod serve;
mod sheet;
mod status;
mod stream;
pub mod typed;
mod violations;
mod wire;

pub use auth::{Identity, KeyError, Principal, Tokens};
pub use ctx::Ctx;
pub use messages::in_words;
pub use paging::{Page, Pages, fingerprint};
pub use rights::{Method, Rights, RightsError};
pub use serve::{Mounted, ServeError, serve};
pub use sheet::{CardList, SheetFormat, SheetLanguage, SheetPart};
pub use status::AppError;
pub use stream::{Closed, HEARTBEAT, Sender, StreamEnd, Streaming, stream};
pub use violations::Violations;
pub use wire::{instant, timestamp};

// The other half: the process and what runs in it.
pub mod checkpoints;
mod clock;
mod clock_service;
pub mod config;
mod database;
mod directory;
pub mod erasure;
mod events;
mod followers;
pub mod import;
mod keys;
mod leader;
mod log_service;
mod metrics;
pub mod migrate;
mod node;
pub mod objects;
mod peers;
pub mod reaction;
mod rebuilds;
mod recorded;
mod service;
pub mod stop_list;
mod tasks;
pub mod telemetry;
mod views;
mod views_service;

pub use clock::{Clock, ClockRefusal};
pub use config::Config;
pub use directory::{
    AbsenceEntry, AccountEntry, ClaimEntry, Directory, GroupEntry, Membership, Scope, Snapshot,
    StaffEntry, add_sees_account,
};
pub use keys::{
    add_master_key, create_keys, master_key_belongs, master_keys, read_master_keys,
    retire_master_keys,
};
pub use leader::Term;
pub use log_service::export::{CardsExported, Event as ExportEvent, Export};
pub use metrics::Metrics;
pub use node::{Node, Parts, StartError};
pub use peers::{Bearer, PeerChannel, Peers};
pub use service::Service;
pub use tasks::Tasks;
pub use views::Views;
