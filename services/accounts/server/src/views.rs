//! What the service can be asked: each file one read model, built anew from logs at any time. Only
//! [`seen`] is none: it is SQL that several of them share.

pub(crate) mod access;
pub(crate) mod claims;
pub(crate) mod companies;
pub(crate) mod contacted;
pub(crate) mod deals;
pub(crate) mod documents;
pub(crate) mod exports;
pub(crate) mod imports;
pub(crate) mod open_tasks;
pub(crate) mod orders;
pub(crate) mod ownership;
pub(crate) mod past;
pub(crate) mod people;
pub(crate) mod pipelines;
pub(crate) mod prospect_lists;
pub(crate) mod saved_views;
pub(crate) mod seen;
pub(crate) mod statuses;
pub(crate) mod transfers;
