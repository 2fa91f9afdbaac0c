//! One file per command.

pub(crate) mod clock;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod migrate;
pub(crate) mod parked;
pub(crate) mod rebuild;
pub(crate) mod report;
pub(crate) mod serve;
pub(crate) mod token;
pub(crate) mod views;
