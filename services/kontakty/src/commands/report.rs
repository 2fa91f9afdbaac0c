//! `kontakty report`: reports of the analytics service.

use std::collections::HashMap;

use api::{
    accounts::{ListGroupsRequest, ListStaffRequest},
    analytics::{GetScorecardRequest, Rate, Scorecard, ScorecardBy},
    common::Period,
};
use chrono::{DateTime, Utc};
use clap::{Subcommand, ValueEnum};

use crate::{
    client::{Client, Connection, Refused},
    output::{Format, Rows, number, text},
};

#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    report: Report,
}

#[derive(Subcommand)]
enum Report {
    /// Calls, effective calls, meetings, sales and both rates.
    ///
    /// For example `kontakty report scorecard --from 2026-03-01 --to 2026-04-01 --by group`.
    Scorecard(ScorecardArgs),
    /// Anything else, to be told what there is.
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

#[derive(clap::Args)]
struct ScorecardArgs {
    /// First day, or an RFC 3339 instant; days are those of the company's time zone.
    #[arg(long, default_value = "", hide_default_value = true)]
    from: String,
    /// The day after the last one: a period does not contain its end.
    #[arg(long, default_value = "", hide_default_value = true)]
    to: String,
    /// What a row stands for.
    #[arg(long, value_enum, default_value_t = By::Manager)]
    by: By,
    /// Business time as of which sales must not be cancelled: RFC 3339 [default: now].
    #[arg(long)]
    as_of: Option<DateTime<Utc>>,
    /// Only what was recorded by then: RFC 3339 [default: now].
    #[arg(long)]
    as_recorded_at: Option<DateTime<Utc>>,
    /// Only this member of staff: external id.
    #[arg(long)]
    staff: Option<String>,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Manager,
    Group,
    Month,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.report {
        Report::Scorecard(args) => scorecard(args).await,
        Report::Unknown(words) => {
            let name = words.first().map_or("", String::as_str);
            anyhow::bail!("there is no report `{name}`; there is: scorecard")
        }
    }
}

async fn scorecard(args: ScorecardArgs) -> anyhow::Result<()> {
    let client = args.connection.open().await?;
    print_scorecard(&client, &args).await
}

async fn print_scorecard(client: &Client, args: &ScorecardArgs) -> anyhow::Result<()> {
    let request = GetScorecardRequest {
        period: Some(Period {
            from: args.from.clone(),
            to: args.to.clone(),
        }),
        by: match args.by {
            By::Manager => ScorecardBy::Manager,
            By::Group => ScorecardBy::Group,
            By::Month => ScorecardBy::Month,
        }
        .into(),
        as_of: args.as_of.map(kit::timestamp),
        as_recorded_at: args.as_recorded_at.map(kit::timestamp),
        staff_id: args
            .staff
            .as_deref()
            .map(|id| vocabulary::StaffId::of_external(id).to_string())
            .unwrap_or_default(),
        ..GetScorecardRequest::default()
    };
    let answer = client
        .reports()?
        .get_scorecard(request)
        .await
        .map_err(Refused)?
        .into_inner();
    let names = names(client, args.by).await;
    let first = match args.by {
        By::Manager => text("Manager", "manager"),
        By::Group => text("Group", "group"),
        By::Month => text("Month", "month"),
    };
    let mut columns = vec![first];
    if args.by == By::Manager {
        columns.push(text("Name", "name"));
    }
    columns.extend([
        number("Calls", "calls"),
        number("Effective", "effective_calls"),
        number("Meetings", "meetings"),
        number("Sales", "sales"),
        number("Meetings/calls %", "meeting_rate"),
        number("Sales/meetings %", "sale_rate"),
    ]);
    let mut rows = Rows::new(columns);
    for row in &answer.rows {
        let mut line = vec![row.label.clone()];
        if args.by == By::Manager {
            line.push(names.get(&row.id).cloned().unwrap_or_default());
        }
        line.extend(figures(row.figures.as_ref()));
        rows.push(line);
    }
    let mut total = vec!["total".to_owned()];
    if args.by == By::Manager {
        total.push(String::new());
    }
    total.extend(figures(answer.total.as_ref()));
    rows.push(total);
    rows.print(args.format)
}

/// Names live in accounts: analytics holds no personal data. Without the right to see them the
/// report still has its ids.
async fn names(client: &Client, by: By) -> HashMap<String, String> {
    let Ok(mut staff) = client.staff() else {
        return HashMap::new();
    };
    match by {
        By::Manager => {
            let request = ListStaffRequest {
                include_dismissed: true,
                ..ListStaffRequest::default()
            };
            staff.list_staff(request).await.map(|answer| {
                answer
                    .into_inner()
                    .staff
                    .into_iter()
                    .map(|person| (person.id, person.name))
                    .collect()
            })
        }
        By::Group => staff
            .list_groups(ListGroupsRequest::default())
            .await
            .map(|answer| {
                answer
                    .into_inner()
                    .groups
                    .into_iter()
                    .map(|group| (group.id, group.name))
                    .collect()
            }),
        By::Month => return HashMap::new(),
    }
    .unwrap_or_default()
}

fn figures(card: Option<&Scorecard>) -> Vec<String> {
    let card = card.cloned().unwrap_or_default();
    let percent = |rate: Option<Rate>| rate.map(|rate| rate.percent).unwrap_or_default();
    vec![
        card.calls.to_string(),
        card.effective_calls.to_string(),
        card.meetings.to_string(),
        card.sales.to_string(),
        percent(card.meeting_rate),
        percent(card.sale_rate),
    ]
}
