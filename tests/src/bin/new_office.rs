//! `new-office FOLDER`: a data folder with empty databases, for the tests to start offices on copies.

use std::path::Path;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os()
        .nth(1)
        .filter(|folder| !folder.as_encoded_bytes().starts_with(b"-"))
        .context("usage: new-office FOLDER")?;
    tests::office::prepare(Path::new(&folder))
}
