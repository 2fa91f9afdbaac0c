//! Files of persons and of past contacts, batch by batch.

mod interactions;
mod persons;

pub(crate) use interactions::interactions;
pub(crate) use persons::persons;
