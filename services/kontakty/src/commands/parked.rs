//! `kontakty parked`: events that a view or reaction could not apply.

use api::views::{ListParkedRequest, RetryParkedRequest, SkipParkedRequest};
use clap::Subcommand;

use crate::{
    client::{Connection, Refused},
    output::{Format, Rows, number, text},
    services::{Follower, Services, one},
};

#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show them with reasons, and what waits behind them.
    List {
        /// accounts, contacts, planning, notifications, analytics, or all.
        #[arg(default_value = "all")]
        service: Services,
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
        #[command(flatten)]
        connection: Connection,
    },
    /// Take them up again, once what was wrong is mended.
    Retry {
        /// SERVICE/NAME of the view or reaction.
        name: Follower,
        #[command(flatten)]
        connection: Connection,
    },
    /// Give up the first one of its stream, for good; what waits behind it goes on.
    Skip {
        /// SERVICE/NAME of the view or reaction.
        name: Follower,
        /// Whose log the event is in.
        #[arg(long, value_parser = one)]
        source: &'static str,
        /// Where in that log.
        #[arg(long)]
        position: i64,
        /// Why; it is kept.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::List {
            service,
            format,
            connection,
        } => list(&service, format, &connection).await,
        Command::Retry { name, connection } => {
            let mut views = connection.open().await?.views(name.service)?;
            let request = RetryParkedRequest {
                service: name.service.to_owned(),
                name: name.name,
            };
            let answer = views.retry_parked(request).await.map_err(Refused)?;
            let answer = answer.into_inner();
            tell(answer.applied, answer.parked);
            Ok(())
        }
        Command::Skip {
            name,
            source,
            position,
            reason,
            connection,
        } => {
            let mut views = connection.open().await?.views(name.service)?;
            let request = SkipParkedRequest {
                service: name.service.to_owned(),
                name: name.name,
                source: source.to_owned(),
                position,
                reason,
            };
            let answer = views.skip_parked(request).await.map_err(Refused)?;
            let answer = answer.into_inner();
            tell(answer.applied, answer.parked);
            Ok(())
        }
    }
}

fn tell(applied: i64, parked: i64) {
    println!("{applied} applied, {parked} still parked");
}

async fn list(services: &Services, format: Format, connection: &Connection) -> anyhow::Result<()> {
    let client = connection.open().await?;
    let mut rows = Rows::new(vec![
        text("Service", "service"),
        text("Name", "name"),
        text("Log", "source"),
        number("Position", "position"),
        text("Stream", "stream"),
        text("Event", "type"),
        number("Tries", "attempts"),
        text("Since", "parked_at"),
        text("Reason", "reason"),
    ]);
    for &service in services.names() {
        let request = ListParkedRequest {
            service: service.to_owned(),
        };
        let answer = client.views(service)?.list_parked(request).await;
        for event in answer.map_err(Refused)?.into_inner().events {
            let parked_at = event.parked_at.as_ref().and_then(kit::instant);
            rows.push(vec![
                event.service,
                event.name,
                event.source,
                event.position.to_string(),
                event.stream,
                event.r#type,
                event.attempts.to_string(),
                parked_at.unwrap_or_default().to_rfc3339(),
                event.reason,
            ]);
        }
    }
    if rows.is_empty() && format == Format::Table {
        println!("nothing is parked");
        return Ok(());
    }
    rows.print(format)
}
