//! The five services as five processes on five ports, on the engines of an office.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command},
};

use anyhow::{Context, ensure};

use crate::{
    client::{Addresses, SERVICES},
    office::{Environment, binary, free_ports, interrupt, spawn},
};

pub(crate) struct Apart {
    services: BTreeMap<&'static str, Service>,
    environment: Environment,
}

struct Service {
    process: Child,
    port: u16,
    log: PathBuf,
}

impl Apart {
    /// Starts all five on engines whose environment this is.
    pub(crate) fn start(
        data: &Path,
        mut environment: Environment,
        clock: Option<&str>,
    ) -> anyhow::Result<Self> {
        let ports: BTreeMap<_, _> = SERVICES.into_iter().zip(free_ports::<5>()?).collect();
        environment.extend(ports.iter().map(|(service, port)| {
            (
                format!("KONTAKTY__PEERS__{}", service.to_uppercase()),
                format!("http://127.0.0.1:{port}"),
            )
        }));
        if let Some(start) = clock {
            environment.extend([
                ("KONTAKTY__CLOCK__MODE".to_owned(), "controlled".to_owned()),
                ("KONTAKTY__CLOCK__START".to_owned(), start.to_owned()),
            ]);
        }
        let mut apart = Self {
            services: BTreeMap::new(),
            environment,
        };
        // At once: nobody of them may wait for another one to be there first.
        let starting = SERVICES.map(|service| {
            let (environment, port) = (apart.environment.clone(), ports[service]);
            let log = data.join(format!("{service}.log"));
            std::thread::spawn(move || serve(service, port, &environment, log))
        });
        let mut failure = None;
        for (service, starting) in SERVICES.into_iter().zip(starting) {
            match starting.join() {
                Ok(Ok(started)) => drop(apart.services.insert(service, started)),
                Ok(Err(error)) => failure = Some(error.context(service)),
                Err(_panic) => failure = Some(anyhow::anyhow!("{service} was not started")),
            }
        }
        failure.map_or(Ok(apart), Err)
    }

    pub(crate) fn addresses(&self) -> Addresses {
        let services = self.services.iter();
        services
            .map(|(name, service)| (*name, format!("127.0.0.1:{}", service.port)))
            .collect()
    }

    pub(crate) fn logs(&self) -> impl Iterator<Item = PathBuf> {
        self.services.values().map(|service| service.log.clone())
    }

    /// `kill -9`, and another process at the same port.
    pub(crate) fn kill(&mut self, name: &str) -> anyhow::Result<()> {
        let (name, mut former) = self
            .services
            .remove_entry(name)
            .context("no such service")?;
        former.process.kill()?;
        former.process.wait()?;
        let log = former.log.with_extension("again.log");
        let service = serve(name, former.port, &self.environment, log)?;
        self.services.insert(name, service);
        Ok(())
    }

    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        for (_, mut service) in std::mem::take(&mut self.services) {
            interrupt(&mut service.process)?;
        }
        Ok(())
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        for service in self.services.values_mut() {
            let _ = service.process.kill();
            let _ = service.process.wait();
        }
    }
}

/// `kontakty migrate` with these further arguments. `postgres`: how the owner of the databases connects.
pub(crate) fn migrate(
    environment: &[(String, String)],
    postgres: &str,
    args: &[&str],
) -> anyhow::Result<()> {
    let migrated = Command::new(binary())
        .arg("migrate")
        .args(args)
        .envs(environment.iter().cloned())
        .env("KONTAKTY_OWNER_URL", format!("{postgres}/postgres"))
        .output()?;
    ensure!(
        migrated.status.success(),
        "not migrated: {}",
        String::from_utf8_lossy(&migrated.stderr)
    );
    Ok(())
}

fn serve(
    name: &str,
    port: u16,
    environment: &[(String, String)],
    log: PathBuf,
) -> anyhow::Result<Service> {
    let mut command = Command::new(binary());
    command
        .args(["serve", name])
        .envs(environment.iter().cloned())
        .env("KONTAKTY__SERVER__LISTEN", format!("127.0.0.1:{port}"));
    let (process, _) = spawn(command, &log)?;
    Ok(Service { process, port, log })
}

/// What every process on the engines of a data folder is told, as in `docker-compose.yml`.
pub(crate) fn environment(data: &Path, postgres: &str, nats: &str) -> anyhow::Result<Environment> {
    let (_, host) = postgres.rsplit_once('@').context("no PostgreSQL")?;
    let mut environment = vec![
        ("KONTAKTY__NATS__URL".to_owned(), nats.to_owned()),
        (
            "KONTAKTY__KEYS__FOLDER".to_owned(),
            data.join("keys").display().to_string(),
        ),
        (
            "KONTAKTY__DOCUMENTS__STORAGE".to_owned(),
            data.join("documents").display().to_string(),
        ),
        (
            "KONTAKTY__TELEMETRY__LOG_FORMAT".to_owned(),
            "json".to_owned(),
        ),
    ];
    environment.extend(SERVICES.map(|service| {
        (
            format!("KONTAKTY__DATABASE__{}", service.to_uppercase()),
            format!("postgres://kontakty_{service}:secret@{host}/kontakty_{service}"),
        )
    }));
    Ok(environment)
}
