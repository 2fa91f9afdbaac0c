//! Work goes to others: for good by a hand-over, for a time by a substitute.

mod absence;
mod lent;
mod plans;
mod tasks;
