//! The public contract, generated from `proto/`, and nothing else.

/// A request that changes something.
pub trait Command {
    /// Empty: the caller gave none and a retry cannot be recognised.
    fn request_id(&self) -> &str;
}

/// A request that can wait for what its caller has written.
pub trait Query {
    fn min_positions(&self) -> &[kontakty::common::v1::Position];
}

/// A server with limits on the size of one message.
pub trait Limited {
    #[must_use]
    fn limited(self, request_bytes: usize, answer_bytes: usize) -> Self;
}

/// Every file of the contract with its options and comments, for reflection and for the rights.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

#[expect(clippy::all, clippy::pedantic, reason = "generated")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/kontakty.rs"));
}
mod requests {
    include!(concat!(env!("OUT_DIR"), "/requests.rs"));
}

pub use generated::kontakty;
pub use kontakty::{
    accounts::v1 as accounts, analytics::v1 as analytics, clock::v1 as clock, common::v1 as common,
    contacts::v1 as contacts, log::v1 as log, notifications::v1 as notifications,
    planning::v1 as planning, rights::v1 as rights, views::v1 as views,
};
