//! Faults injected into the real parts, and a checker of what must hold all the same.
//!
//! An [`installation`] is the real binary on a PostgreSQL and a NATS of its own. A [`load`] sends
//! commands and writes a [`ledger`]: what was sent before it is sent, what was answered when it is.
//! Meanwhile something breaks: processes die at [kill points](points), connections through a
//! [`proxy`], messages and streams under the hands of [`vandal`] and [`scrambler`]. Afterwards the
//! [checks](check) hold ledger, logs and views against each other and name the first thing that
//! is not so.
//!
//! Every run prints its seed. Each check has a control beside it: the same run without the
//! protection, or the same logs with one row wrong, must fail it.

pub mod appenders;
pub mod check;
pub mod command;
pub mod engines;
pub mod installation;
pub mod ledger;
pub mod load;
pub mod points;
pub mod poison;
pub mod population;
pub mod proxy;
pub mod replay;
pub mod requests;
pub mod run;
pub mod scrambler;
pub mod seed;
pub mod sweep;
pub mod vandal;
pub mod watcher;

use std::time::Duration;

/// Lets the load go on for a while: this spaces faults, it waits for no state.
pub async fn meanwhile(duration: Duration) {
    tokio::time::sleep(duration).await;
}
