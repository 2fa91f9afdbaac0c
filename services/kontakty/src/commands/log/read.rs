//! `kontakty log read` and `kontakty log tail`: events on the terminal.

use api::log::{Event, GetHeadRequest, ReadEventsRequest, SubscribeEventsRequest};
use clap::ValueEnum;
use serde_json::Value;

use super::{Which, row::Row};
use crate::client::Refused;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Shape {
    /// One readable line an event.
    Short,
    /// The whole envelope as one JSON object a line. Personal fields stay sealed.
    Json,
}

pub(super) async fn read(
    which: Which,
    from: i64,
    to: Option<i64>,
    types: &[String],
    shape: Shape,
) -> anyhow::Result<()> {
    let mut log = which.connection.open().await?.log(which.service)?;
    let mut after = from.max(1) - 1;
    loop {
        let request = ReadEventsRequest {
            service: which.service.to_owned(),
            after_position: after,
            limit: 1_000,
        };
        let page = log
            .read_events(request)
            .await
            .map_err(Refused)?
            .into_inner();
        for event in &page.events {
            if to.is_some_and(|to| event.position > to) {
                return Ok(());
            }
            if types.is_empty() || types.contains(&event.r#type) {
                print(event, shape)?;
            }
        }
        match page.events.last() {
            Some(last) => after = last.position,
            None => return Ok(()),
        }
    }
}

pub(super) async fn tail(which: Which, back: i64, shape: Shape) -> anyhow::Result<()> {
    let mut log = which.connection.open().await?.log(which.service)?;
    let request = GetHeadRequest {
        service: which.service.to_owned(),
    };
    let head = log
        .get_head(request)
        .await
        .map_err(Refused)?
        .into_inner()
        .position;
    let request = SubscribeEventsRequest {
        service: which.service.to_owned(),
        after_position: (head - back).max(0),
    };
    let mut events = log
        .subscribe_events(request)
        .await
        .map_err(Refused)?
        .into_inner();
    while let Some(page) = events.message().await.map_err(Refused)? {
        for event in &page.events {
            print(event, shape)?;
        }
    }
    Ok(())
}

fn print(event: &Event, shape: Shape) -> anyhow::Result<()> {
    let row = Row::new(event)?;
    match shape {
        Shape::Short => {
            let payload: Value = serde_json::from_str(row.payload.get())?;
            let payload: String = payload.to_string().chars().take(160).collect();
            println!(
                "{:>8}  {}  {:<28} {}  {payload}",
                row.position,
                row.recorded_at.format("%Y-%m-%d %H:%M:%S"),
                row.event_type,
                row.stream
            );
        }
        Shape::Json => println!("{}", serde_json::to_string(&row)?),
    }
    Ok(())
}
