//! A private nats-server with JetStream.

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use tempfile::TempDir;

const START: Duration = Duration::from_secs(10);

/// Runs the server as long as its standard input is open, so it ends with the test process however
/// that ends.
const GUARDIAN: &str = r#""$1" -c "$2" >/dev/null 2>&1 & cat >/dev/null; kill -9 $!; wait"#;

/// Listens on a free port of 127.0.0.1, keeps its store in a temporary folder, and ends with this
/// value. The port stays the same over restarts, so clients find it again.
#[derive(Debug)]
pub struct Nats {
    store: TempDir,
    port: u16,
    /// Lines of the configuration's block `jetstream`.
    limits: String,
    process: Option<Child>,
}

impl Nats {
    pub async fn start() -> Result<Self> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = free.local_addr()?.port();
        drop(free);
        let mut nats = Self {
            store: TempDir::with_prefix("kontakty-nats-")?,
            port,
            limits: String::new(),
            process: None,
        };
        nats.restart().await?;
        Ok(nats)
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// `kill -9`; the store stays.
    pub fn kill(&mut self) {
        if let Some(mut guardian) = self.process.take() {
            drop(guardian.stdin.take());
            let _ = guardian.wait();
        }
    }

    /// Starts it again with other limits, such as `max_file_store: 1MB`; none when empty.
    pub async fn limit(&mut self, limits: &str) -> Result<()> {
        limits.clone_into(&mut self.limits);
        self.restart().await
    }

    /// Starts it again, with the store as it is.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill();
        let config = self.store.path().join("nats.conf");
        let store = self.store.path().join("store");
        std::fs::write(
            &config,
            format!(
                "listen: \"127.0.0.1:{}\"\njetstream {{\n  store_dir: \"{}\"\n  {}\n}}\n",
                self.port,
                store.display(),
                self.limits
            ),
        )?;
        let guardian = Command::new("/bin/sh")
            .args(["-c", GUARDIAN, "sh"])
            .arg(binary())
            .arg(&config)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C is for the tests; the guardian notices their end by itself.
            .process_group(0)
            .spawn()?;
        self.process = Some(guardian);
        self.ready().await
    }

    /// Kills it, deletes everything it had stored, and starts it empty.
    pub async fn wipe(&mut self) -> Result<()> {
        self.kill();
        std::fs::remove_dir_all(self.store.path().join("store"))?;
        self.restart().await
    }

    async fn ready(&self) -> Result<()> {
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if start.elapsed() > START {
                bail!("nats-server does not listen; is it installed?");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}

/// From the path, or where Debian puts it, which is not on everybody's path.
fn binary() -> &'static Path {
    let debian = Path::new("/usr/sbin/nats-server");
    if debian.exists() {
        debian
    } else {
        Path::new("nats-server")
    }
}
