//! Turns the campaign's data into import files: `campaign-files FOLDER`.

use std::path::PathBuf;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let folder: PathBuf = std::env::args_os()
        .nth(1)
        .context("usage: campaign-files FOLDER")?
        .into();
    std::fs::create_dir_all(&folder)?;
    let clients = tests::campaign::read(&tests::campaign::data_file()?)?;
    tests::campaign::write_files(&clients, &folder)?;
    println!(
        "{} clients as import files in {}",
        clients.len(),
        folder.display()
    );
    Ok(())
}
