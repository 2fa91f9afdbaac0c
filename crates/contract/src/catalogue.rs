//! Every event there is, and ever was: an event once recorded is published in its version for ever.

use std::{collections::BTreeMap, convert::Infallible, fs};

use anyhow::{Context, ensure};
use es::{Aggregate, personal};
use kit::config::SERVICES;
use schemars::JsonSchema;
use serde_json::Value;

use crate::{folder, schema};

/// One type and version of a service's events.
#[derive(Debug, Clone)]
pub struct Event {
    pub service: &'static str,
    pub event_type: String,
    pub version: u16,
    pub schema: Value,
    /// A payload as it travels: personal fields sealed.
    pub example: Value,
}

impl Event {
    /// `account.order_cancelled.v1`
    pub fn name(&self) -> String {
        format!("{}.v{}", self.event_type, self.version)
    }

    /// Of its schema, in the contract's folder.
    pub fn file(&self) -> String {
        file(self.service, &self.event_type, self.version)
    }
}

/// A new aggregate has its line here.
pub fn events() -> anyhow::Result<Vec<Event>> {
    let mut all = Vec::new();
    all.extend(of::<accounts_domain::account::Account>("accounts")?);
    all.extend(of::<accounts_domain::catalogue::Catalogue>("accounts")?);
    all.extend(of::<accounts_domain::deal::Deal>("accounts")?);
    all.extend(of::<accounts_domain::distribution::Distribution>(
        "accounts",
    )?);
    all.extend(of::<accounts_domain::document::Access>("accounts")?);
    all.extend(of::<accounts_domain::document::Document>("accounts")?);
    all.extend(of::<accounts_domain::group::SalesGroup>("accounts")?);
    all.extend(of::<accounts_domain::import_batch::ImportBatch>(
        "accounts",
    )?);
    all.extend(of::<accounts_domain::order::Order>("accounts")?);
    all.extend(of::<accounts_domain::pipeline::Pipeline>("accounts")?);
    all.extend(of::<accounts_domain::policy::Policy>("accounts")?);
    all.extend(of::<accounts_domain::prospect_list::ProspectList>(
        "accounts",
    )?);
    all.extend(of::<accounts_domain::saved_view::SavedView>("accounts")?);
    all.extend(of::<accounts_domain::reading::CardView>("accounts")?);
    all.extend(of::<accounts_domain::reading::Reading>("accounts")?);
    all.extend(of::<accounts_domain::staff::StaffMember>("accounts")?);
    all.extend(of::<accounts_domain::transfer::Transfer>("accounts")?);
    all.extend(of::<contacts_domain::data_subject::DataSubject>(
        "contacts",
    )?);
    all.extend(of::<contacts_domain::interaction::Interaction>("contacts")?);
    all.extend(of::<contacts_domain::person::Person>("contacts")?);
    all.extend(of::<notifications_domain::Reminder>("notifications")?);
    all.extend(of::<notifications_domain::Webhook>("notifications")?);
    all.extend(of::<planning_domain::HandOver>("planning")?);
    all.extend(of::<planning_domain::DataEntry>("planning")?);
    all.extend(of::<planning_domain::Task>("planning")?);
    // What every service may record.
    for service in SERVICES {
        all.extend(of::<kit::erasure::Erasure>(service)?);
        all.extend(of::<kit::Export>(service)?);
    }
    Ok(all)
}

fn of<A>(service: &'static str) -> anyhow::Result<Vec<Event>>
where
    A: Aggregate<Event: JsonSchema>,
{
    let mut events = Vec::new();
    for (event_type, shape) in schema::of_each_type::<A::Event>()? {
        let mut golden = golden(service, &event_type)?;
        let (newest, example) = golden
            .pop_last()
            .with_context(|| format!("{event_type} has no golden file"))?;
        let decoded: A::Event =
            es::decode::<A>(&event_type, newest, example.to_string().as_bytes())?;
        ensure!(
            A::schema_version(&decoded) == newest,
            "the newest golden file of {event_type} is of version {newest}, the event is not"
        );
        let event = |version, schema, example| Event {
            service,
            event_type: event_type.clone(),
            version,
            schema,
            example: sealed(example),
        };
        for (version, example) in golden {
            let path = folder().join(file(service, &event_type, version));
            let kept = fs::read(&path).with_context(|| path.display().to_string())?;
            events.push(event(version, serde_json::from_slice(&kept)?, example));
        }
        let shape = schema::document(service, &event_type, newest, shape);
        events.push(event(newest, shape, example));
    }
    Ok(events)
}

fn file(service: &str, event_type: &str, version: u16) -> String {
    format!("events/{service}/{event_type}.v{version}.schema.json")
}

/// The stored examples of a type by their version.
fn golden(service: &str, event_type: &str) -> anyhow::Result<BTreeMap<u16, Value>> {
    let mut found = BTreeMap::new();
    let of_service = folder().join(format!("../services/{service}/domain/tests/golden"));
    let of_every_service = folder().join("../crates/kit/tests/golden");
    let folders = [of_service, of_every_service];
    let files = folders
        .iter()
        .filter(|folder| folder.exists())
        .map(fs::read_dir)
        .collect::<Result<Vec<_>, _>>()?;
    for entry in files.into_iter().flatten() {
        let path = entry?.path();
        let version = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_prefix(event_type))
            .and_then(|rest| rest.strip_prefix(".v")?.strip_suffix(".json"))
            .and_then(|version| version.parse().ok());
        if let Some(version) = version {
            found.insert(version, serde_json::from_slice(&fs::read(&path)?)?);
        }
    }
    Ok(found)
}

/// As the log seals it, with a text that says so for the ciphertext.
fn sealed(mut payload: Value) -> Value {
    const SEALED: &str = "c2VhbGVk";
    let Ok(()) = personal::seal(&mut payload, &mut |_, _| {
        Ok::<_, Infallible>(SEALED.to_owned())
    });
    payload
}
