//! What the service can be asked: each file one read model, built anew from logs at any time.

pub(crate) mod closed;
pub(crate) mod data_entry;
pub(crate) mod hand_overs;
pub(crate) mod tasks;
