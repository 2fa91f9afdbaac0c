//! What an export is to become, kept beside its rows, so that a second call can continue.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::{Args, Format};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) service: String,
    pub(super) epoch: String,
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) personal: bool,
    pub(super) format: Format,
    pub(super) group_rows: u32,
}

/// The folder of an export that is not whole yet; this process alone writes in it.
pub(super) struct Work {
    pub(super) order: Order,
    pub(super) folder: PathBuf,
    _lock: File,
}

const ORDER: &str = "order.json";

impl Work {
    /// What an earlier call has left, if it was about the same.
    pub(super) fn resume(args: &Args) -> anyhow::Result<Option<Self>> {
        let folder = folder(&args.out);
        if !folder.exists() {
            return Ok(None);
        }
        let (mut file, folder) = (lock(&folder)?, folder);
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        // Interrupted before anything was asked of the office.
        if text.is_empty() {
            return Ok(None);
        }
        let order: Order = serde_json::from_str(&text)
            .with_context(|| format!("{} is not the beginning of an export", folder.display()))?;
        let wanted = Order {
            service: args.service.to_owned(),
            epoch: order.epoch.clone(),
            from: args.from,
            to: args.to.unwrap_or(order.to),
            personal: args.personal,
            format: args.format,
            group_rows: args.group_rows,
        };
        if wanted != order {
            bail!(
                "{} is the beginning of another export; call that one again, or remove the folder",
                folder.display()
            );
        }
        Ok(Some(Self {
            order,
            folder,
            _lock: file,
        }))
    }

    pub(super) fn begin(args: &Args, order: Order) -> anyhow::Result<Self> {
        let folder = folder(&args.out);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("cannot write {}", folder.display()))?;
        let mut lock = lock(&folder)?;
        lock.write_all(serde_json::to_string(&order)?.as_bytes())?;
        lock.sync_all()?;
        Ok(Self {
            order,
            folder,
            _lock: lock,
        })
    }

    /// Leaves nothing of an export that was refused.
    pub(super) fn discard(&self) {
        let _ = fs::remove_dir_all(&self.folder);
    }

    /// Puts the whole file where it belongs.
    pub(super) fn finish(self, written: &Path, out: &Path) -> anyhow::Result<Order> {
        fs::rename(written, out).with_context(|| format!("cannot write {}", out.display()))?;
        fs::remove_dir_all(&self.folder)?;
        Ok(self.order)
    }
}

/// For rows that may be personal: nobody else's.
pub(super) fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn lock(folder: &Path) -> anyhow::Result<File> {
    let file = create(&folder.join(ORDER))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("another process is writing {}", folder.display())
        }
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn folder(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".part");
    name.into()
}
