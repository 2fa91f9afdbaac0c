//! I5: every event that a reaction answers has its effect, and has it once.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::Finding;
use crate::replay::Stores;

/// Which events of one log must have led to which events of another one.
struct Rule {
    source: &'static str,
    /// Of `log.events`, with the payload as `p`.
    cause: &'static str,
    service: &'static str,
    reaction: &'static str,
    effect: &'static str,
}

const RULES: [Rule; 3] = [
    Rule {
        source: "contacts",
        cause: "type = 'interaction.logged' and p ? 'next_step'",
        service: "planning",
        reaction: "next-steps",
        effect: "type = 'task.created'",
    },
    Rule {
        source: "planning",
        cause: "type in ('task.created', 'task.rescheduled', 'task.reassigned')",
        service: "notifications",
        reaction: "task_reminders",
        effect: "type = 'reminder.scheduled'",
    },
    Rule {
        source: "contacts",
        cause: "type = 'interaction.logged' and p ? 'completes_task_id'",
        service: "planning",
        reaction: "next-steps",
        effect: "type = 'task.completed'",
    },
];

/// A contact may find its task closed by somebody else, and completes nothing.
const AT_MOST_ONCE: &str = "type = 'task.completed'";

pub async fn effects(stores: &Stores) -> anyhow::Result<Finding> {
    let mut finding = Finding::new("I5", "events reach every reaction, once");
    for rule in &RULES {
        let causes = causes(stores, rule).await?;
        let mut effects: HashMap<Uuid, i64> = HashMap::new();
        for cause in caused(stores, rule).await? {
            *effects.entry(cause).or_default() += 1;
        }
        for (event, position) in causes {
            finding.looked_at += 1;
            let times = effects.remove(&event).unwrap_or_default();
            let enough = times == 1 || (times == 0 && rule.effect == AT_MOST_ONCE);
            if !enough {
                let Rule {
                    source,
                    reaction,
                    effect,
                    ..
                } = rule;
                finding.found(|| {
                    format!("{reaction} answered {position} of {source} {times} times: {effect}")
                });
            }
        }
        if let Some((cause, times)) = effects.into_iter().next() {
            finding.found(|| format!("{} {times} times for {cause}, without need", rule.effect));
        }
    }
    with_their_owners(stores, &mut finding).await?;
    Ok(finding)
}

/// Events that are not parked, with their positions.
async fn causes(stores: &Stores, rule: &Rule) -> anyhow::Result<Vec<(Uuid, i64)>> {
    let parked: Vec<i64> =
        sqlx::query_scalar("select position from views.parked where name = $1 and source = $2")
            .bind(rule.reaction)
            .bind(rule.source)
            .fetch_all(stores.of(rule.service))
            .await?;
    let text = format!(
        "select event_id, position
         from log.events, lateral (select convert_from(payload, 'UTF8')::jsonb as p) as parsed
         where {} and position <> all($1)",
        rule.cause
    );
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(text))
        .bind(parked)
        .fetch_all(stores.of(rule.source))
        .await?)
}

async fn caused(stores: &Stores, rule: &Rule) -> anyhow::Result<Vec<Uuid>> {
    let text = format!(
        "select (m ->> 'causation_id')::uuid
         from log.events, lateral (select convert_from(metadata, 'UTF8')::jsonb as m) as parsed
         where {} and m -> 'actor' ->> 'kind' = 'policy' and m ->> 'causation_id' is not null",
        rule.effect
    );
    Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(text))
        .fetch_all(stores.of(rule.service))
        .await?)
}

/// Open tasks of accounts that went to another owner went along.
async fn with_their_owners(stores: &Stores, finding: &mut Finding) -> anyhow::Result<()> {
    let transfers: Vec<(String, Uuid)> = sqlx::query_as(
        "select stream, (p ->> 'to_owner_id')::uuid
         from log.events, lateral (select convert_from(payload, 'UTF8')::jsonb as p) as parsed
         where type = 'account.ownership_transferred' order by position",
    )
    .fetch_all(stores.of("accounts"))
    .await?;
    let owners: BTreeMap<String, Uuid> = transfers.into_iter().collect();
    let changes: Vec<(String, String, Option<String>, Option<Uuid>)> = sqlx::query_as(
        "select stream, type, 'account-' || (p ->> 'account_id'),
                coalesce(p ->> 'to_assignee_id', p ->> 'assignee_id')::uuid
         from log.events, lateral (select convert_from(payload, 'UTF8')::jsonb as p) as parsed
         where stream like 'task-%' order by position",
    )
    .fetch_all(stores.of("planning"))
    .await?;
    let mut open: BTreeMap<String, (String, Uuid)> = BTreeMap::new();
    for (task, event_type, account, assignee) in changes {
        match (event_type.as_str(), account, assignee) {
            ("task.created", Some(account), Some(assignee)) if owners.contains_key(&account) => {
                open.insert(task, (account, assignee));
            }
            ("task.reassigned", _, Some(assignee)) => {
                if let Some(task) = open.get_mut(&task) {
                    task.1 = assignee;
                }
            }
            ("task.completed" | "task.cancelled", ..) => {
                open.remove(&task);
            }
            _ => {}
        }
    }
    for (task, (account, assignee)) in open {
        finding.looked_at += 1;
        if owners.get(&account) != Some(&assignee) {
            finding.found(|| format!("{task} did not go along with {account}"));
        }
    }
    Ok(())
}
