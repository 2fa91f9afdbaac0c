//! `new-office FOLDER`: a data folder with empty databases, for the tests to start offices on copies.

use std::path::PathBuf;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let folder: PathBuf = std::env::args_os()
        .nth(1)
        .context("say which folder: new-office FOLDER")?
        .into();
    tests::office::prepare(&folder)
}
