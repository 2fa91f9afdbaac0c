//! NATS: whether it is there, and whether what it acknowledges is on its disk.

use chrono::{DateTime, Utc};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use kit::{Config, config::Profile};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use super::{
    WITHIN, clocks,
    database::silence,
    wall,
    words::{Finding, Words},
};

/// What /jsz tells. Servers before 2.10 cannot sync and say nothing of it.
#[derive(Deserialize)]
struct Told {
    server_id: String,
    now: DateTime<Utc>,
    config: JetStream,
}

#[derive(Deserialize)]
struct JetStream {
    #[serde(default)]
    sync_always: bool,
}

const MOST_BYTES: usize = 1 << 20;

fn of(what: (&str, &str)) -> Words {
    Words::same("NATS").about(what.into())
}

pub(super) async fn examine(config: &Config) -> Vec<Finding> {
    let url = config.nats.url.expose_secret();
    let client = match bus::connect(url, "kontakty-doctor").await {
        Ok(client) => client,
        Err(error) => {
            let fault = Words::same(error.to_string());
            return vec![Finding::bad(of(("configured", "указан")), fault)];
        }
    };
    let reachable = of(("reachable", "отвечает"));
    if !matches!(timeout(WITHIN, client.flush()).await, Ok(Ok(()))) {
        return vec![Finding::bad(reachable, silence())];
    }
    let mut findings = vec![Finding::good(reachable)];
    let server = client.server_info();
    let what = of(("nats-server is 2.9 or newer", "nats-server не старше 2.9"));
    findings.push(if version(&server.version) >= (2, 9) {
        Finding::good(what)
    } else {
        Finding::bad(what, ("upgrade nats-server", "обновите nats-server").into())
    });
    let what = of(("JetStream", "JetStream"));
    // Asked in plain words: the client library's own question expects what 2.9 does not answer.
    let asked = client.request("$JS.API.INFO", Vec::new().into());
    let account = match timeout(WITHIN, asked).await {
        Ok(Ok(answer)) => serde_json::from_slice::<Value>(&answer.payload).ok(),
        _ => None,
    };
    findings.push(match account {
        Some(account) if account.get("error").is_none() => Finding::good(what),
        _ => Finding::bad(
            what,
            (
                "start nats-server with JetStream enabled, and let this user use it",
                "запустите nats-server с включённым JetStream и разрешите его этому пользователю",
            )
                .into(),
        ),
    });
    findings.extend(durability(config, &server.server_id, &server.version).await);
    findings
}

/// Only the monitoring port tells; a client of the bus cannot see it.
async fn durability(config: &Config, server_id: &str, server_version: &str) -> Vec<Finding> {
    let production = config.company.profile == Profile::Production;
    let what = of((
        "what it acknowledges is on its disk",
        "подтверждённое записано на диск",
    ));
    let Some(monitoring) = &config.nats.monitoring else {
        return match (production, version(server_version) < (2, 10)) {
            (false, _) => Vec::new(),
            (true, true) => vec![Finding::bad(what, too_old(server_version))],
            (true, false) => vec![Finding::bad(
                what,
                (
                    "cannot be seen: set http_port in the configuration of nats-server and nats.monitoring in ours (or company.profile = \"workstation\", where a power cut may cost the bus some time)",
                    "не видно: задайте http_port в настройках nats-server и nats.monitoring в наших (или company.profile = \"workstation\", где отключение питания может стоить шине времени)",
                )
                    .into(),
            )],
        };
    };
    let before = wall();
    let told = match timeout(WITHIN, ask(monitoring)).await {
        Ok(Ok(told)) => told,
        Ok(Err(error)) => {
            let address = Words::same("nats.monitoring");
            return vec![Finding::bad(
                what,
                address.about(Words::same(error.to_string())),
            )];
        }
        Err(_) => return vec![Finding::bad(what, silence())],
    };
    let clock = clocks(Words::same("NATS"), (before, told.now, wall()));
    let fault = if told.server_id != server_id {
        Some(Words::from((
            "nats.monitoring tells of another server than the one at nats.url",
            "nats.monitoring рассказывает о другом сервере, не о том, что в nats.url",
        )))
    } else if told.config.sync_always || !production {
        None
    } else if version(server_version) < (2, 10) {
        Some(too_old(server_version))
    } else {
        Some(
            (
                "it acknowledges before it has synced: set `sync_interval: always` in the block jetstream of its configuration",
                "он подтверждает раньше, чем записал на диск: задайте `sync_interval: always` в блоке jetstream его настроек",
            )
                .into(),
        )
    };
    vec![clock, Finding { what, fault }]
}

fn too_old(version: &str) -> Words {
    Words::new(
        format!(
            "nats-server {version} acknowledges before it has synced and cannot do otherwise: install 2.10 or newer with `sync_interval: always`"
        ),
        format!(
            "nats-server {version} подтверждает раньше, чем записал на диск, и иначе не умеет: поставьте 2.10 или новее с `sync_interval: always`"
        ),
    )
}

async fn ask(monitoring: &str) -> anyhow::Result<Told> {
    let url = format!("{}/jsz?config=true", monitoring.trim_end_matches('/')).parse()?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<&[u8]>>();
    let answer = client.get(url).await?.into_body();
    let body = Limited::new(answer, MOST_BYTES)
        .collect()
        .await
        .map_err(|_| anyhow::anyhow!("the answer was cut off"))?;
    Ok(serde_json::from_slice(&body.to_bytes())?)
}

/// Major and minor; (0, 0) for what is no version.
fn version(text: &str) -> (u32, u32) {
    let mut parts = text.split('.').map_while(|part| part.parse().ok());
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        assert!(version("2.10.0") > version("2.9.10"));
        assert_eq!(version("2.15.1-RC.1"), (2, 15));
        assert_eq!(version("dev"), (0, 0));
    }
}
