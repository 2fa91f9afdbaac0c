//! What the accounts service decides: who works here and in which group, which companies there
//! are, who owns them, what they ordered and paid, which deals are under way with them, and which
//! documents there are.
//!
//! Knows nothing of storage, transport, time or the other services.

#![deny(
    clippy::wildcard_enum_match_arm,
    clippy::match_wildcard_for_single_variants
)]

pub mod account;
pub mod card;
pub mod catalogue;
pub mod deal;
pub mod distribution;
pub mod document;
pub mod field;
pub mod group;
pub mod import_batch;
pub mod order;
pub mod pipeline;
pub mod policy;
pub mod precision;
pub mod prospect_list;
pub mod reading;
pub mod saved_view;
pub mod staff;
pub mod transfer;
