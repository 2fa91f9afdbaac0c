//! Who wrote, read and took out what, and how things stood on any day.

mod access;
mod data_entry;
mod export;
mod past;
mod undo;
