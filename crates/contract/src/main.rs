//! Writes the generated part of the contract: `cargo run -p contract`. With `release`, also makes
//! it what later versions must not break.

use std::fs;

use anyhow::{Context, bail};

fn main() -> anyhow::Result<()> {
    let release = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("release") => true,
        Some(_) => bail!("usage: contract [release]"),
    };
    let events = contract::events()?;
    for (path, text) in contract::files(&events)? {
        let path = contract::folder().join(path);
        fs::create_dir_all(path.parent().context("no folder")?)?;
        fs::write(path, text)?;
    }
    if release {
        contract::release(&events)?;
    }
    Ok(())
}
