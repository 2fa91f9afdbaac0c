//! A private PostgreSQL.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::OnceCell;

/// Superuser url of a running server to use instead of a private one.
const ELSEWHERE: &str = "KONTAKTY_TEST_POSTGRES";

/// A name that nobody else has, also on a server that others use.
const UNIQUE: &str = "select $1 || '_' || replace(gen_random_uuid()::text, '-', '')";

/// Makes, runs and removes a cluster. It lives as long as its standard input, so it ends with the
/// test process however that ends.
const GUARDIAN: &str = r#"
set -e
dir=$(mktemp -d /tmp/kontakty-pg-XXXXXX)
trap '"$1/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1; rm -rf "$dir"' EXIT
"$1/initdb" -D "$dir/data" -U postgres -E UTF8 --locale=C.UTF-8 --auth=trust --no-sync >"$dir/log"
"$1/pg_ctl" -D "$dir/data" -w -l "$dir/log" \
    -o "-c listen_addresses='' -c unix_socket_directories=$dir -c max_connections=300 $2" start >/dev/null
echo "$dir"
cat >/dev/null
"#;

/// A server, ready to use.
#[derive(Debug)]
pub struct Postgres {
    /// Of the superuser, without a database.
    url: String,
    // Their end is the end of the server.
    _life: Option<(ChildStdin, Child)>,
}

static SHARED: OnceCell<Postgres> = OnceCell::const_new();

impl Postgres {
    /// The server of this test process. Nothing in it survives, so it does not wait for the disk.
    pub async fn shared() -> Result<&'static Self> {
        SHARED
            .get_or_try_init(|| async {
                match std::env::var(ELSEWHERE) {
                    Ok(url) => Ok(Self {
                        url: url.trim_end_matches('/').to_owned(),
                        _life: None,
                    }),
                    Err(_) => Self::start("-c fsync=off -c full_page_writes=off").await,
                }
            })
            .await
    }

    /// A server of one's own, with further options of `postgres`; it ends with this value.
    pub async fn start(options: &str) -> Result<Self> {
        let options = options.to_owned();
        tokio::task::spawn_blocking(move || Self::start_blocking(&options)).await?
    }

    fn start_blocking(options: &str) -> Result<Self> {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", GUARDIAN, "sh"])
            .arg(binaries()?)
            .arg(options)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C is for the tests; the guardian notices their end by itself.
            .process_group(0);
        // PostgreSQL does not run as root.
        if nix::unistd::geteuid().is_root() {
            let user = nix::unistd::User::from_name("postgres")?.context("no user postgres")?;
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        let mut child = command.spawn()?;
        let life = child.stdin.take().context("no standard input")?;
        let output = child.stdout.take().context("no standard output")?;
        let mut dir = String::new();
        BufReader::new(output).read_line(&mut dir)?;
        let dir = dir.trim_end();
        ensure!(!dir.is_empty(), "PostgreSQL did not start");
        Ok(Self {
            url: format!("postgres://postgres@{}", dir.replace('/', "%2F")),
            _life: Some((life, child)),
        })
    }

    /// A new database with all migrations applied.
    pub async fn fresh_database(&self, migrator: &Migrator) -> Result<Database> {
        let mut server = PgConnection::connect(&self.url_of("postgres")).await?;
        let name: String = sqlx::query_scalar(UNIQUE)
            .bind("test")
            .fetch_one(&mut server)
            .await?;
        sqlx::raw_sql(AssertSqlSafe(format!("create database {name}")))
            .execute(&mut server)
            .await?;
        server.close().await?;
        let url = self.url_of(&name);
        let pool = PgPoolOptions::new()
            .max_connections(20)
            .test_before_acquire(false)
            .connect(&url)
            .await?;
        migrator.run(&pool).await?;
        Ok(Database { name, url, pool })
    }

    /// Url of a database of this server, as superuser.
    pub fn url_of(&self, database: &str) -> String {
        format!("{}/{database}", self.url)
    }
}

/// A database of one test.
#[derive(Debug)]
pub struct Database {
    pub name: String,
    /// As superuser.
    pub url: String,
    /// As superuser.
    pub pool: PgPool,
}

impl Database {
    /// A pool of a login role that is a member of `group` and nothing else.
    pub async fn pool_as(&self, group: &str) -> Result<PgPool> {
        let role: String = sqlx::query_scalar(UNIQUE)
            .bind("member")
            .fetch_one(&self.pool)
            .await?;
        let sql = format!("create role {role} login password 'test' in role {group}");
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&self.pool)
            .await?;
        let options: PgConnectOptions = self.url.parse()?;
        Ok(PgPoolOptions::new()
            .max_connections(20)
            .test_before_acquire(false)
            .connect_with(options.username(&role).password("test"))
            .await?)
    }
}

/// Where initdb is: `KONTAKTY_PG_BIN`, or the newest version that the distribution installed.
fn binaries() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("KONTAKTY_PG_BIN") {
        return Ok(path.into());
    }
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .context("PostgreSQL is not installed")?
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin")))
        })
        .filter(|(_, path)| Path::new(path).join("initdb").exists())
        .collect();
    found.sort_unstable();
    let (_, newest) = found.pop().context("no initdb under /usr/lib/postgresql")?;
    Ok(newest)
}
