//! What the service can be asked: each file one read model, built anew from logs at any time.

pub(crate) mod certificates;
pub(crate) mod persons;
pub(crate) mod policy;
pub(crate) mod tasks;
#[cfg(test)]
mod tests;
pub(crate) mod timeline;
