//! What the service can be asked: each file one read model, built anew from logs at any time.

pub(crate) mod facts;
