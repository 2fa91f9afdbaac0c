//! `kontakty token`: only where the office's own key is.

use std::{path::PathBuf, time::Duration};

use crate::{client::local_token, office::default_folder};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// External id of a member of staff; the first administrator is `admin`.
    #[arg(long)]
    staff: String,
    /// How long it is good for, in minutes.
    #[arg(long, default_value_t = 12 * 60)]
    minutes: u64,
    /// Data folder of the office.
    #[arg(long, env = "KONTAKTY_DATA")]
    data: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let folder = args.data.clone().unwrap_or_else(default_folder);
    println!(
        "{}",
        local_token(&folder, &args.staff, Duration::from_secs(args.minutes * 60))?
    );
    Ok(())
}
