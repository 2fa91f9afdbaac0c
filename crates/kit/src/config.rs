//! The configuration: one tree, from a TOML file and the environment (`KONTAKTY__SECTION__KEY`,
//! which wins). Every key and its default is listed in `deploy/kontakty.toml`.

mod reader;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;

pub use reader::{ConfigError, Fault};
use reader::{Reader, Values};

/// The services of an installation, in the order in which they start.
pub const SERVICES: [&str; 5] = [
    "accounts",
    "contacts",
    "planning",
    "notifications",
    "analytics",
];

/// Everything that can be set from outside. Secrets are redacted in `Debug`.
#[derive(Debug, Clone)]
pub struct Config {
    pub company: Company,
    pub server: Server,
    pub database: Database,
    pub nats: Nats,
    pub keys: Keys,
    pub checkpoints: Checkpoints,
    /// Where each service answers; absent: at this process's own address.
    pub peers: BTreeMap<&'static str, String>,
    pub telemetry: Telemetry,
    pub clock: Clock,
    pub prospects: Prospects,
    pub documents: Documents,
    pub webhooks: Webhooks,
    pub bootstrap: Bootstrap,
}

/// Whose office it is.
#[derive(Debug, Clone)]
pub struct Company {
    pub name: String,
    pub profile: Profile,
    /// Dates in requests and reports are days of this zone.
    pub time_zone: Tz,
}

/// How much a power cut may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Nothing that was acknowledged, by whichever part.
    Production,
    /// Some time: the logs refill a bus that acknowledges before it has synced.
    Workstation,
}

/// The gRPC port.
#[derive(Debug, Clone)]
pub struct Server {
    pub listen: SocketAddr,
    pub reflection: bool,
    pub max_request_bytes: usize,
    pub max_connections: usize,
    /// Origins of browsers that may call; `*` for any.
    pub cors_origins: Vec<String>,
}

/// One database per service.
#[derive(Debug, Clone)]
pub struct Database {
    pub urls: BTreeMap<&'static str, SecretString>,
    /// Connections per service and process.
    pub pool_size: u32,
}

/// The bus.
#[derive(Debug, Clone)]
pub struct Nats {
    /// `nats://USER:PASSWORD@HOST:PORT`
    pub url: SecretString,
    /// Where nats-server tells how it is configured: `http://HOST:8222`.
    pub monitoring: Option<String>,
}

/// The master key of personal data and the key that signs tokens.
#[derive(Debug, Clone)]
pub struct Keys {
    pub folder: PathBuf,
    pub token_ttl: Duration,
}

/// Signed heads of the logs.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    /// Where they are kept; absent: none are signed by this process.
    pub folder: Option<PathBuf>,
    pub interval: Duration,
}

/// Logs, traces and figures.
#[derive(Debug, Clone)]
pub struct Telemetry {
    pub otlp_endpoint: Option<String>,
    pub log_format: LogFormat,
    /// As `tracing_subscriber::EnvFilter` reads it: `info`, `info,sqlx=warn`.
    pub log_level: String,
    pub metrics_listen: Option<SocketAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// Which clock the office runs on.
#[derive(Debug, Clone)]
pub struct Clock {
    pub mode: ClockMode,
    /// Where a controlled clock begins; absent: now.
    pub start: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockMode {
    Real,
    Controlled,
}

/// The pool of prospects and how it is called.
#[derive(Debug, Clone, Copy)]
pub struct Prospects {
    /// How long a claim lasts, and how much a renewal adds.
    pub claim: Duration,
    /// Who was spoken with is not given out as the next prospect for so long.
    pub rest: Duration,
    /// Whether the answer of the duplicate check names the owner to those who do not see the
    /// account.
    pub show_owners: bool,
}

/// The files of companies and deals.
#[derive(Debug, Clone)]
pub struct Documents {
    pub storage: Storage,
    /// Of one document.
    pub max_bytes: i64,
    /// Media types that may be uploaded; empty: the usual ones of an office.
    pub types: Vec<String>,
}

/// Where bytes are kept.
#[derive(Debug, Clone)]
pub enum Storage {
    Folder(PathBuf),
    S3(S3),
}

/// A bucket, of Amazon or of anything that speaks like it.
#[derive(Debug, Clone)]
pub struct S3 {
    pub bucket: String,
    /// What all names begin with; may be empty.
    pub prefix: String,
    /// Absent: Amazon's own.
    pub endpoint: Option<String>,
    pub region: String,
    /// Absent: as AWS_ACCESS_KEY_ID and the like say, or the machine's role.
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<SecretString>,
}

/// What is sent to integrators.
#[derive(Debug, Clone, Copy)]
pub struct Webhooks {
    /// Whether it may go to this machine and into private networks, there also without TLS.
    pub private_networks: bool,
}

/// What an empty installation begins with.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    /// Of the first administrator, made when there is no staff at all.
    pub administrator_password: Option<SecretString>,
}

impl Config {
    /// Reads the file, if any, and the environment; reports every fault at once.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::read(&mut Reader::new(Values::load(file, None)?))
    }

    fn read(r: &mut Reader) -> Result<Self, ConfigError> {
        let config = Self::build(r);
        r.finish().map(|()| config)
    }

    fn build(r: &mut Reader) -> Self {
        Self {
            company: Company {
                name: r.text("company.name", ""),
                profile: r.chosen(
                    "company.profile",
                    &[
                        ("production", Profile::Production),
                        ("workstation", Profile::Workstation),
                    ],
                ),
                time_zone: r.parsed(
                    "company.time_zone",
                    Tz::Europe__Moscow,
                    "must be a name of the IANA time zone database such as Europe/Moscow",
                ),
            },
            server: Server {
                listen: r.parsed(
                    "server.listen",
                    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8600),
                    "must be an address and a port such as 127.0.0.1:8600",
                ),
                reflection: r.parsed("server.reflection", true, "must be true or false"),
                max_request_bytes: r.number("server.max_request_bytes", 4 << 20, 1 << 10, 1 << 30),
                max_connections: r.number("server.max_connections", 2_000, 1, 1_000_000),
                cors_origins: r.list("server.cors_origins"),
            },
            database: Database {
                urls: database_urls(r),
                pool_size: r.number("database.pool_size", 10, 2, 1_000),
            },
            nats: Nats {
                url: r
                    .secret("nats.url")
                    .unwrap_or_else(|| "nats://127.0.0.1:4222".into()),
                monitoring: r.optional("nats.monitoring"),
            },
            keys: Keys {
                folder: r.text("keys.folder", "data/keys").into(),
                token_ttl: Duration::from_secs(
                    60 * r.number("keys.token_ttl_minutes", 720, 1, 60 * 24 * 366),
                ),
            },
            checkpoints: Checkpoints {
                folder: r.optional("checkpoints.folder").map(PathBuf::from),
                interval: Duration::from_secs(r.number(
                    "checkpoints.interval_seconds",
                    3_600,
                    1,
                    86_400 * 7,
                )),
            },
            peers: peers(r),
            telemetry: telemetry(r),
            clock: Clock {
                mode: r.chosen(
                    "clock.mode",
                    &[
                        ("real", ClockMode::Real),
                        ("controlled", ClockMode::Controlled),
                    ],
                ),
                start: r.optional_parsed(
                    "clock.start",
                    "must be an RFC 3339 instant such as 2026-03-02T09:00:00+03:00",
                ),
            },
            prospects: Prospects {
                claim: Duration::from_secs(
                    60 * r.number("prospects.claim_minutes", 30, 1, 60 * 24 * 31),
                ),
                rest: Duration::from_secs(
                    60 * 60 * 24 * r.number("prospects.rest_days", 14, 0, 3_660),
                ),
                show_owners: r.parsed("prospects.show_owners", true, "must be true or false"),
            },
            documents: Documents {
                storage: storage(r),
                max_bytes: r.number("documents.max_bytes", 25 << 20, 1, 1 << 30),
                types: r.list("documents.types"),
            },
            webhooks: Webhooks {
                private_networks: r.parsed(
                    "webhooks.private_networks",
                    false,
                    "must be true or false",
                ),
            },
            bootstrap: Bootstrap {
                administrator_password: r.secret("bootstrap.administrator_password"),
            },
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::build(&mut Reader::new(Values::default()))
    }
}

fn database_urls(r: &mut Reader) -> BTreeMap<&'static str, SecretString> {
    let mut urls = BTreeMap::new();
    for service in SERVICES {
        let key = format!("database.{service}");
        let Some(url) = r.secret(&key) else { continue };
        // The driver would fall back to a user named "anonymous".
        let named = url.expose_secret().contains('@');
        if named && url.expose_secret().parse::<PgConnectOptions>().is_ok() {
            urls.insert(service, url);
        } else {
            r.fault(&key, "must be postgres://USER:PASSWORD@HOST:PORT/DATABASE");
        }
    }
    urls
}

fn peers(r: &mut Reader) -> BTreeMap<&'static str, String> {
    let mut peers = BTreeMap::new();
    for service in SERVICES {
        let key = format!("peers.{service}");
        let Some(url) = r.optional(&key) else {
            continue;
        };
        let absolute = url
            .parse::<http::Uri>()
            .is_ok_and(|uri| uri.scheme_str() == Some("http"));
        if absolute {
            peers.insert(service, url);
        } else {
            r.fault(&key, "must be a URL such as http://accounts:8600");
        }
    }
    peers
}

fn storage(r: &mut Reader) -> Storage {
    let place = r.text("documents.storage", "data/documents");
    let endpoint = r.optional("documents.endpoint");
    let region = r.text("documents.region", "us-east-1");
    let access_key_id = r.optional("documents.access_key_id");
    let secret_access_key = r.secret("documents.secret_access_key");
    let Some(bucket) = place.strip_prefix("s3://") else {
        return Storage::Folder(place.into());
    };
    let (bucket, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
    if bucket.is_empty() {
        r.fault(
            "documents.storage",
            "must be a folder or s3://BUCKET/PREFIX",
        );
    }
    if access_key_id.is_some() != secret_access_key.is_some() {
        r.fault(
            "documents.secret_access_key",
            "must be given together with documents.access_key_id",
        );
    }
    Storage::S3(S3 {
        bucket: bucket.to_owned(),
        prefix: prefix.trim_matches('/').to_owned(),
        endpoint,
        region,
        access_key_id,
        secret_access_key,
    })
}

fn telemetry(r: &mut Reader) -> Telemetry {
    let log_level = r.text("telemetry.log_level", "info");
    if tracing_subscriber::EnvFilter::try_new(&log_level).is_err() {
        r.fault(
            "telemetry.log_level",
            "must be a level or directives such as info,sqlx=warn",
        );
    }
    Telemetry {
        otlp_endpoint: r.optional("telemetry.otlp_endpoint"),
        log_format: r.chosen(
            "telemetry.log_format",
            &[("text", LogFormat::Text), ("json", LogFormat::Json)],
        ),
        log_level,
        metrics_listen: r.optional_parsed(
            "telemetry.metrics_listen",
            "must be an address and a port such as 127.0.0.1:9464",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use super::*;

    const DEFAULTS: &str = include_str!("../../../deploy/kontakty.toml");

    fn values(toml: &str, environment: &[(&str, &str)]) -> Values {
        let environment: HashMap<_, _> = environment
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Values::parse(toml, environment).unwrap()
    }

    #[test]
    fn the_default_file_lists_every_key_with_its_default() {
        let mut reader = Reader::new(values(DEFAULTS, &[]));
        let listed: BTreeSet<_> = reader.listed();
        let config = Config::read(&mut reader).unwrap();
        assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
        assert_eq!(listed, reader.known());
    }

    #[test]
    fn every_fault_is_reported_at_once_without_the_value() {
        let toml = "[server]\nlisten = 'x1'\nlisen = 'x2'\n[clock]\nmode = 'x3'\nstart = 'x4'\n\
                    [database]\naccounts = 'postgres://localhost/x5'\npool_size = 'x6'\n\
                    [extra]\nkey = 'x7'\n";
        let environment = [("KONTAKTY__PEERS__ACCOUNTS", "x8")];
        let error = Config::read(&mut Reader::new(values(toml, &environment))).unwrap_err();
        let keys: BTreeSet<_> = error.faults().iter().map(|f| f.key.as_str()).collect();
        let expected = [
            "clock.mode",
            "clock.start",
            "database.accounts",
            "database.pool_size",
            "extra.key",
            "peers.accounts",
            "server.lisen",
            "server.listen",
        ];
        assert_eq!(keys, expected.into());
        for value in 1..=8 {
            assert!(!error.to_string().contains(&format!("x{value}")), "{error}");
        }
    }

    #[test]
    fn the_environment_wins_and_secrets_may_come_from_files() {
        let folder = std::env::temp_dir().join(format!("kit-config-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("url");
        std::fs::write(&file, "hidden\n").unwrap();
        let path = file.to_string_lossy().into_owned();
        let environment = [
            ("KONTAKTY__COMPANY__TIME_ZONE", "Asia/Yekaterinburg"),
            ("KONTAKTY__NATS__URL_FILE", path.as_str()),
            ("KONTAKTY__SERVER__CORS_ORIGINS", "http://a, http://b"),
            ("KONTAKTY__DATABASE__ACCOUNTS", "postgres://u:secret@h/d"),
        ];
        let toml = "[company]\ntime_zone = 'Europe/Moscow'\n";
        let config = Config::read(&mut Reader::new(values(toml, &environment))).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();

        assert_eq!(config.company.time_zone, Tz::Asia__Yekaterinburg);
        assert_eq!(config.server.cors_origins, ["http://a", "http://b"]);
        assert_eq!(config.nats.url.expose_secret(), "hidden");
        let shown = format!("{config:?}");
        assert!(!shown.contains("hidden") && !shown.contains("secret@"));
    }
}
