//! `kontakty token`: only where the office's own key is.

use std::{path::PathBuf, time::Duration};

use kit::Identity;

use crate::{
    client::{local_token, staff_member},
    office::default_folder,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// External id of a member of staff; the first administrator is `admin`.
    #[arg(long, required_unless_present = "gateway")]
    staff: Option<String>,
    /// Name of a gateway instead: it may follow the bus and read the logs, personal data sealed.
    #[arg(long, value_name = "NAME", conflicts_with = "staff")]
    gateway: Option<String>,
    /// How long it is good for, in minutes.
    #[arg(long, default_value_t = 12 * 60)]
    minutes: u64,
    /// Data folder of the office.
    #[arg(long, env = "KONTAKTY_DATA")]
    data: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let folder = args.data.clone().unwrap_or_else(default_folder);
    let identity = match (&args.gateway, &args.staff) {
        (Some(gateway), _) => Identity::Gateway(gateway.clone()),
        (None, staff) => staff_member(staff.as_deref().unwrap_or_default()),
    };
    let ttl = Duration::from_secs(args.minutes * 60);
    println!("{}", local_token(&folder, &identity, ttl)?);
    Ok(())
}
