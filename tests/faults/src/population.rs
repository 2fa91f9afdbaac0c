//! The people and companies that a load works with.

use std::fmt::Write;

use vocabulary::{AccountId, StaffId};

use crate::installation::Installation;

/// External ids of managers who work on accounts of their own.
pub const MANAGERS: [&str; 4] = ["s-11", "s-12", "s-13", "s-14"];
/// External ids of managers between whom accounts go to and fro.
pub const OWNERS: [&str; 2] = ["s-21", "s-22"];
const ACCOUNTS_EACH: usize = 5;
/// Accounts that change owner all the time.
pub const TRAVELLING: usize = 3;

/// Hires everybody and registers their accounts.
pub fn found(installation: &Installation) -> anyhow::Result<()> {
    let mut staff = "external_id,name,role,group,head\ns-10,Head A,head,A,s-10\n".to_owned();
    let mut accounts = "external_id,name,phone,owner\n".to_owned();
    for (index, manager) in MANAGERS.iter().chain(&OWNERS).enumerate() {
        writeln!(staff, "{manager},Manager {index},manager,A,s-10")?;
    }
    for (index, manager) in MANAGERS.iter().enumerate() {
        for nth in 0..ACCOUNTS_EACH {
            let name = account_name(manager, nth);
            writeln!(accounts, "{name},{name},+7900000{index}{nth:03},{manager}")?;
        }
    }
    for nth in 0..TRAVELLING {
        writeln!(accounts, "t-{nth},t-{nth},+79000009{nth:03},{}", OWNERS[0])?;
    }
    installation.import("staff", &staff)?;
    installation.import("accounts", &accounts)
}

fn account_name(manager: &str, nth: usize) -> String {
    format!("a-{manager}-{nth}")
}

pub fn accounts_of(manager: &str) -> Vec<String> {
    (0..ACCOUNTS_EACH)
        .map(|nth| AccountId::of_external(&account_name(manager, nth)).to_string())
        .collect()
}

pub fn travelling_account(nth: usize) -> String {
    AccountId::of_external(&format!("t-{nth}")).to_string()
}

pub fn staff(external_id: &str) -> String {
    StaffId::of_external(external_id).to_string()
}
