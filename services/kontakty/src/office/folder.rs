//! The data folder of an office: who runs on it, and where everything in it lies.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use nix::unistd::Uid;
use serde::{Deserialize, Serialize};

/// Where an office without `--data` keeps everything.
pub(crate) fn default_folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("KONTAKTY_DATA") {
        return folder.into();
    }
    if Uid::effective().is_root() {
        return "/var/lib/kontakty".into();
    }
    let home = std::env::var_os("HOME").unwrap_or_else(|| "/tmp".into());
    std::env::var_os("XDG_DATA_HOME")
        .map_or_else(|| PathBuf::from(home).join(".local/share"), PathBuf::from)
        .join("kontakty")
}

/// What a running office tells its clients on the same machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Running {
    pub pid: u32,
    pub grpc: String,
    pub nats: String,
    pub postgres: String,
}

/// A data folder that this process alone uses until it is dropped.
pub(crate) struct Folder {
    root: PathBuf,
    lock: File,
}

impl Folder {
    /// Refuses, naming the office that runs there, when the folder is in use.
    pub(crate) fn lock(root: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(root).with_context(|| format!("cannot create {}", root.display()))?;
        let root = fs::canonicalize(root)?;
        let path = root.join("lock");
        loop {
            let mut lock = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path)
                .with_context(|| format!("cannot write in {}", root.display()))?;
            if lock.try_lock().is_err() {
                let mut text = String::new();
                let _ = lock.read_to_string(&mut text);
                match serde_json::from_str::<Running>(&text) {
                    Ok(running) => bail!(
                        "an office already runs on {} (process {}, grpc={}); stop it, or start \
                         another one beside it with --data OTHER_FOLDER",
                        root.display(),
                        running.pid,
                        running.grpc
                    ),
                    Err(_) => bail!(
                        "another office is just starting on {}; start this one with --data \
                         OTHER_FOLDER",
                        root.display()
                    ),
                }
            }
            // The former owner removes the file before it lets go: the lock must be on the file
            // that is there now.
            if fs::metadata(&path)
                .is_ok_and(|now| lock.metadata().is_ok_and(|mine| mine.ino() == now.ino()))
            {
                let folder = Self { root, lock };
                fs::create_dir_all(folder.keys())?;
                fs::set_permissions(folder.keys(), fs::Permissions::from_mode(0o700))?;
                fs::create_dir_all(folder.logs())?;
                return Ok(folder);
            }
        }
    }

    pub(crate) fn announce(&mut self, running: &Running) -> anyhow::Result<()> {
        self.lock.set_len(0)?;
        self.lock.rewind()?;
        self.lock
            .write_all(serde_json::to_string(running)?.as_bytes())?;
        Ok(())
    }

    /// The office that runs on a folder, if one does.
    pub(crate) fn running(root: &Path) -> Option<Running> {
        serde_json::from_str(&fs::read_to_string(root.join("lock")).ok()?).ok()
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn keys(&self) -> PathBuf {
        keys(&self.root)
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("log")
    }

    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    pub(crate) fn documents(&self) -> PathBuf {
        documents(&self.root)
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.root.join("postgres")
    }

    pub(crate) fn nats(&self) -> PathBuf {
        self.root.join("nats")
    }

    /// A random secret that the folder keeps: made when it is first asked for.
    pub(crate) fn secret(&self, name: &str) -> anyhow::Result<String> {
        let path = self.keys().join(name);
        if let Ok(secret) = fs::read_to_string(&path) {
            return Ok(secret.trim().to_owned());
        }
        let secret = random_secret()?;
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .open(&path)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(secret.as_bytes())?;
        file.sync_all()?;
        Ok(secret)
    }
}

/// A secret of an office, whoever runs it.
pub(super) fn known_secret(root: &Path, name: &str) -> anyhow::Result<String> {
    let path = keys(root).join(name);
    let secret =
        fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(secret.trim().to_owned())
}

fn random_secret() -> anyhow::Result<String> {
    let mut bytes = [0; 24];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| anyhow::anyhow!("no random bytes to be had"))?;
    Ok(hex::encode(bytes))
}

pub(crate) fn keys(root: &Path) -> PathBuf {
    root.join("keys")
}

pub(super) fn documents(root: &Path) -> PathBuf {
    root.join("documents")
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.root.join("lock"));
    }
}
