//! `kontakty views`: how far every view and reaction is, and what is kept beside it.

use api::views::{FollowerKind, ListViewsRequest, Progress, VersionState, View};

use crate::{
    client::{Connection, Refused},
    output::{Format, Rows, number, text},
    services::Services,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// accounts, contacts, planning, notifications, analytics, or all.
    #[arg(default_value = "all")]
    service: Services,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.connection.open().await?;
    let mut rows = Rows::new(vec![
        text("Service", "service"),
        text("View", "view"),
        text("Kind", "kind"),
        text("Version", "version"),
        text("Log", "source"),
        number("Position", "position"),
        number("Lag", "lag"),
        number("Parked", "parked"),
        text("State", "state"),
    ]);
    for &service in args.service.names() {
        let request = ListViewsRequest {
            service: service.to_owned(),
        };
        let answer = client.views(service)?.list_views(request).await;
        for view in answer.map_err(Refused)?.into_inner().views {
            let state = words(&view);
            for (version, progress) in [
                ("live", &view.progress),
                ("next", &view.next),
                ("former", &view.former),
            ] {
                for log in progress {
                    rows.push(line(&view, version, log, &state));
                }
            }
            for lost in &view.lost {
                eprintln!(
                    "{service}/{}: had reacted to {} {} to {}, which a restored backup has lost",
                    view.name, lost.source, lost.first_position, lost.last_position
                );
            }
        }
    }
    rows.print(args.format)
}

fn line(view: &View, version: &str, log: &Progress, state: &str) -> Vec<String> {
    let kind = match view.kind() {
        FollowerKind::Reaction => "reaction",
        FollowerKind::View | FollowerKind::Unspecified => "view",
    };
    vec![
        view.service.clone(),
        view.name.clone(),
        kind.to_owned(),
        version.to_owned(),
        log.source.clone(),
        log.position.to_string(),
        lag(log).to_string(),
        log.parked.to_string(),
        state.to_owned(),
    ]
}

/// Events it has still before it.
pub(super) fn lag(log: &Progress) -> i64 {
    (log.head - log.position).max(0)
}

fn words(view: &View) -> String {
    let state = match view.state() {
        VersionState::Unspecified => "",
        VersionState::Building => "building a new version",
        VersionState::Checking => "checking",
        VersionState::Checked => "checked",
        VersionState::Returning => "going back to the former version",
        VersionState::Kept => "former version kept",
        VersionState::Discarding => "discarding",
    };
    if view.stale {
        format!("stale; {state}")
    } else {
        state.to_owned()
    }
}
