//! The event log on PostgreSQL: append, load, read, verify, the keys of personal data, and the
//! runner of read models.
//!
//! Owns the schemas `log` and `views` of a service's database. Knows nothing of any business rule,
//! of gRPC or of the bus.

mod append;
mod appender;
mod chain;
mod context;
mod draft;
mod error;
mod execute;
mod history;
mod keys;
mod lease;
mod life;
mod log;
pub mod projection;
mod retry;
mod row;
mod verify;

pub use append::{Append, Appended, NewEvent};
pub use context::{CommandContext, Loaded, Outcome};
pub use error::{AppendError, ExecuteError, LogError};
pub use keys::{Census, Destroyed, KeyId, MasterKey, MasterKeys, census, note, rewrap, settle};
pub use lease::Lease;
pub use life::{Life, common};
pub use log::{Log, Page};
pub use verify::{Fault, Verdict};

/// Makes the schemas `log` and `views` and the role of a running service.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/log");
