//! What must hold whatever broke. Each check has a short name, by which controls expect it, and
//! says what it is about; it counts what it looked at and names the first counter-example.

mod bus;
mod commands;
mod effects;
mod erasures;
mod logs;
mod reminders;
mod views;

use std::collections::BTreeMap;

use anyhow::ensure;

pub use bus::{bus, delivered, delivered_in_order};
pub use commands::{same_answers, stored_as_answered};
pub use effects::effects;
pub use erasures::erasures;
pub use logs::{chains, cursors, parked, versions};
pub use reminders::reminders;
pub use views::views;

use crate::{ledger::Entry, replay::Stores, watcher::Shown};

/// What one check found.
#[derive(Debug)]
pub struct Finding {
    /// `I1`
    pub invariant: &'static str,
    pub says: &'static str,
    pub looked_at: usize,
    /// Of what could not be looked at.
    pub note: String,
    pub counter_example: Option<String>,
}

impl Finding {
    fn new(invariant: &'static str, says: &'static str) -> Self {
        Self {
            invariant,
            says,
            looked_at: 0,
            note: String::new(),
            counter_example: None,
        }
    }

    /// The first one stays.
    fn found(&mut self, counter_example: impl FnOnce() -> String) {
        self.counter_example.get_or_insert_with(counter_example);
    }
}

/// The findings of a run.
#[derive(Debug, Default)]
pub struct Report(Vec<Finding>);

impl Report {
    pub fn add(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    pub fn print(&self) {
        for finding in &self.0 {
            let verdict = match &finding.counter_example {
                None => "holds".to_owned(),
                Some(example) => format!("VIOLATED: {example}"),
            };
            let Finding {
                invariant,
                says,
                looked_at,
                note,
                ..
            } = finding;
            println!("{invariant:>4} {says}: {looked_at} looked at{note}, {verdict}");
        }
    }

    /// No violation, and no check that had nothing to look at.
    pub fn ensure_clean(&self) -> anyhow::Result<()> {
        for finding in &self.0 {
            ensure!(
                finding.counter_example.is_none(),
                "{}: {}",
                finding.invariant,
                finding.counter_example.as_deref().unwrap_or_default()
            );
            ensure!(
                finding.looked_at > 0,
                "{}: nothing was looked at",
                finding.invariant
            );
        }
        Ok(())
    }

    /// The invariants that do not hold.
    pub fn violated(&self) -> Vec<&'static str> {
        let violated = self.0.iter().filter(|f| f.counter_example.is_some());
        violated.map(|finding| finding.invariant).collect()
    }

    pub fn looked_at(&self, invariant: &str) -> usize {
        let of_it = self.0.iter().filter(|f| f.invariant == invariant);
        of_it.map(|finding| finding.looked_at).sum()
    }
}

/// Where the logs ended before the load began: what came before is not in the ledger.
pub struct Baseline(BTreeMap<&'static str, i64>);

impl Baseline {
    pub async fn of(stores: &Stores) -> anyhow::Result<Self> {
        let heads = stores.heads().await?.into_iter();
        Ok(Self(
            heads.map(|(service, head)| (service, head.0)).collect(),
        ))
    }

    fn of_service(&self, service: &str) -> i64 {
        self.0.get(service).copied().unwrap_or_default()
    }
}

/// Everything that can be told once the services have ended. `fresh`: the same logs with views
/// built anew.
pub async fn all(
    live: &Stores,
    fresh: &Stores,
    ledger: &[Entry],
    seen: &[Shown],
    before: &Baseline,
) -> anyhow::Result<Report> {
    let mut report = Report::default();
    report.add(stored_as_answered(live, ledger, before).await?);
    report.add(same_answers(ledger));
    report.add(versions(live).await?);
    report.add(chains(live).await?);
    report.add(effects(live).await?);
    report.add(views(live, fresh).await?);
    report.add(cursors(live).await?);
    report.add(reminders(live, ledger, seen).await?);
    report.add(parked(live).await?);
    report.add(erasures(live).await?);
    Ok(report)
}
