//! I9: what frontends were shown of reminders is what was recorded of them.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::Finding;
use crate::{
    ledger::{Entry, Outcome},
    population::{MANAGERS, staff},
    replay::Stores,
    watcher::Shown,
};

/// Everything shown was recorded as delivered before, once per connection, to its own person, and
/// not again on a connection made after it was acknowledged; everything recorded was shown.
pub async fn reminders(
    stores: &Stores,
    ledger: &[Entry],
    seen: &[Shown],
) -> anyhow::Result<Finding> {
    let mut finding = Finding::new("I9", "reminders shown and recorded alike");
    let people: HashMap<String, &str> = MANAGERS.iter().map(|user| (staff(user), *user)).collect();
    let deliveries = delivered(stores).await?;
    let mut delivered: HashMap<Uuid, String> = HashMap::new();
    for (id, staff_id) in deliveries {
        let user = people.get(&staff_id).copied().unwrap_or("somebody else");
        if delivered.insert(id, user.to_owned()).is_some() {
            finding.found(|| format!("{id} was recorded as delivered twice"));
        }
    }
    let acknowledged = acknowledged(ledger);
    let mut once = HashSet::new();
    for shown in seen {
        finding.looked_at += 1;
        let id = shown.reminder;
        if delivered.get(&id) != Some(&shown.user) || !shown.delivered {
            finding.found(|| format!("{id} was shown to {} and not recorded so", shown.user));
        }
        if !once.insert((&shown.user, shown.connection, id)) {
            finding.found(|| format!("{id} was shown twice on one connection"));
        }
        if acknowledged
            .get(&id)
            .is_some_and(|at| *at < shown.connected_ms)
        {
            finding.found(|| format!("{id} was shown again after it was acknowledged"));
        }
    }
    let shown: HashSet<Uuid> = seen.iter().map(|shown| shown.reminder).collect();
    let open: HashSet<Uuid> = open(stores).await?.into_iter().collect();
    for id in delivered.keys().filter(|id| open.contains(id)) {
        finding.looked_at += 1;
        if !shown.contains(id) {
            finding.found(|| format!("{id} was recorded as delivered and never shown"));
        }
    }
    Ok(finding)
}

/// Reminders with a delivery, and whose they are. A second delivery would be a second row.
async fn delivered(stores: &Stores) -> anyhow::Result<Vec<(Uuid, String)>> {
    Ok(sqlx::query_as(
        "select substr(d.stream, 10)::uuid, convert_from(s.payload, 'UTF8')::jsonb ->> 'staff_id'
         from log.events d join log.events s on s.stream = d.stream and s.version = 1
         where d.type = 'reminder.delivered'",
    )
    .fetch_all(stores.of("notifications"))
    .await?)
}

/// Delivered, and neither voided nor acknowledged since: a connection shows them until then.
async fn open(stores: &Stores) -> anyhow::Result<Vec<Uuid>> {
    Ok(sqlx::query_scalar(
        "select substr(stream, 10)::uuid from log.events group by stream
         having bool_or(type = 'reminder.delivered')
            and not bool_or(type in ('reminder.voided', 'reminder.acknowledged'))",
    )
    .fetch_all(stores.of("notifications"))
    .await?)
}

/// When the acknowledgement of each reminder was answered.
fn acknowledged(ledger: &[Entry]) -> HashMap<Uuid, u64> {
    let good = |entry: &&Entry| {
        entry.method.ends_with("/AcknowledgeReminder")
            && matches!(entry.outcomes.last(), Some(Outcome::Ok { .. }))
    };
    let entries = ledger.iter().filter(good);
    entries
        .filter_map(|entry| {
            let id = entry.stream.as_deref()?.strip_prefix("reminder-")?;
            Some((id.parse().ok()?, entry.ended_ms))
        })
        .collect()
}
