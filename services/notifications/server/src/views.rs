//! What the service can be asked: each file one read model, built anew from logs at any time.

pub(crate) mod reminders;
pub(crate) mod task_changes;
pub(crate) mod webhooks;
