//! `kontakty rebuild`: a view anew, beside the one that serves.

use std::time::Duration;

use anyhow::{Context, bail};
use api::views::{
    DiscardVersionRequest, ListViewsRequest, RebuildViewRequest, SwitchBackRequest, VersionState,
    View, views_service_client::ViewsServiceClient,
};

use super::views::lag;
use crate::{
    client::{Authenticated, Connection, Refused},
    output::progress,
    services::Follower,
};

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line; clap refuses what does not go together"
)]
#[derive(clap::Args)]
pub(crate) struct Args {
    /// SERVICE/VIEW, such as contacts/timeline; `kontakty views` lists them.
    view: Follower,
    /// Only show how far a rebuild is.
    #[arg(long, conflicts_with_all = ["back", "discard", "check", "workers"])]
    status: bool,
    /// Put the former version back in its place.
    #[arg(long, conflicts_with_all = ["discard", "check", "workers"])]
    back: bool,
    /// Forget what is being built; when nothing is, the former version.
    #[arg(long, conflicts_with_all = ["check", "workers"])]
    discard: bool,
    /// Build a new version, compare it with the live one row for row, and forget it.
    #[arg(long)]
    check: bool,
    /// How many work on it, where the view allows more than one.
    #[arg(long, default_value_t = 1)]
    workers: i32,
    /// Do not wait for the end.
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    connection: Connection,
}

const LOOK: Duration = Duration::from_millis(250);

/// The views of the service, and which one is meant.
struct Target {
    views: ViewsServiceClient<Authenticated>,
    service: String,
    view: String,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let mut target = Target {
        views: args.connection.open().await?.views(args.view.service)?,
        service: args.view.service.to_owned(),
        view: args.view.name.clone(),
    };
    if args.status {
        return target.look().await.map(|view| tell(&view));
    }
    target.ask(&args).await?;
    if args.detach {
        return Ok(());
    }
    target.wait().await
}

impl Target {
    async fn ask(&mut self, args: &Args) -> anyhow::Result<()> {
        let (service, view) = (self.service.clone(), self.view.clone());
        let asked = if args.back {
            let request = SwitchBackRequest { service, view };
            self.views.switch_back(request).await.map(drop)
        } else if args.discard {
            let request = DiscardVersionRequest { service, view };
            self.views.discard_version(request).await.map(drop)
        } else {
            let request = RebuildViewRequest {
                service,
                view,
                workers: args.workers,
                check: args.check,
            };
            self.views.rebuild_view(request).await.map(drop)
        };
        Ok(asked.map_err(Refused)?)
    }

    async fn look(&mut self) -> anyhow::Result<View> {
        let request = ListViewsRequest {
            service: self.service.clone(),
        };
        let answer = self.views.list_views(request).await.map_err(Refused)?;
        let mut views = answer.into_inner().views.into_iter();
        let (service, name) = (&self.service, &self.view);
        views
            .find(|view| view.name == *name)
            .with_context(|| format!("{service} has no view {name}"))
    }

    /// Until what was asked for is done.
    async fn wait(&mut self) -> anyhow::Result<()> {
        let bar = progress("events")?;
        loop {
            let view = self.look().await?;
            let building = match view.state() {
                VersionState::Building | VersionState::Checking => &view.next,
                VersionState::Returning => &view.former,
                VersionState::Discarding => &Vec::new(),
                VersionState::Checked => {
                    bar.finish_and_clear();
                    return verdict(&view);
                }
                VersionState::Kept | VersionState::Unspecified => {
                    bar.finish_and_clear();
                    tell(&view);
                    return Ok(());
                }
            };
            bar.set_message(word(view.state()));
            bar.set_length(sum(building.iter().map(|log| log.head)));
            bar.set_position(sum(building.iter().map(|log| log.position)));
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn sum(events: impl Iterator<Item = i64>) -> u64 {
    events.sum::<i64>().max(0) as u64
}

fn word(state: VersionState) -> &'static str {
    match state {
        VersionState::Building => "building",
        VersionState::Checking => "checking",
        VersionState::Returning => "going back",
        VersionState::Discarding => "discarding",
        VersionState::Checked => "checked",
        VersionState::Kept => "the former version is kept",
        VersionState::Unspecified => "nothing is kept beside it",
    }
}

fn verdict(view: &View) -> anyhow::Result<()> {
    if view.outcome.is_empty() {
        println!(
            "{}/{} built anew is the same, row for row",
            view.service, view.name
        );
        return Ok(());
    }
    bail!(
        "{}/{} built anew is another one:\n{}",
        view.service,
        view.name,
        view.outcome
    )
}

/// A line for the view and one for each log of each version.
fn tell(view: &View) {
    println!("{}/{}: {}", view.service, view.name, word(view.state()));
    for (version, logs) in [
        ("live", &view.progress),
        ("next", &view.next),
        ("former", &view.former),
    ] {
        for log in logs {
            println!(
                "  {version:<7} {} of {}, {} behind, {} parked ({})",
                log.position,
                log.head,
                lag(log),
                log.parked,
                log.source
            );
        }
    }
    if view.state() == VersionState::Kept {
        println!(
            "back to the former version: kontakty rebuild {}/{} --back; forget it: --discard",
            view.service, view.name
        );
    }
}
