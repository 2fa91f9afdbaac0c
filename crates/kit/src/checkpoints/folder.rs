//! Checkpoints as files, one each: `contacts-000000001250-1b4e28ba.json` (position, epoch).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::{Checkpoint, CheckpointKeys, Forged};
use crate::keys::write_new;

#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("cannot use {path}")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not a checkpoint")]
    Malformed { path: PathBuf },
    #[error("{path} is forged: {forged}")]
    Forged { path: PathBuf, forged: Forged },
}

/// A checkpoint, its signature verified, and where it is.
#[derive(Debug, Clone)]
pub struct Stored {
    pub path: PathBuf,
    pub checkpoint: Checkpoint,
}

/// Writes a checkpoint beside the others. The same one again is no error.
pub fn write_checkpoint(
    folder: &Path,
    checkpoint: &Checkpoint,
) -> Result<PathBuf, CheckpointError> {
    let Checkpoint {
        service, position, ..
    } = checkpoint;
    let life = life(checkpoint.epoch);
    let path = folder.join(format!("{service}-{position:012}{life}"));
    let written = fs::create_dir_all(folder).and_then(|()| {
        let text = serde_json::to_string_pretty(checkpoint)?;
        write_new(&path, &(text + "\n"))
    });
    match written {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(file(&path, error)),
        _ => Ok(path),
    }
}

/// The checkpoints of a service in a file or in a folder, in order of position. One that does not
/// bear a good signature is an error, and so is a file of another service.
pub fn read_checkpoints(
    place: &Path,
    service: &str,
    keys: &CheckpointKeys,
) -> Result<Vec<Stored>, CheckpointError> {
    if !place.is_dir() {
        let stored = read(place, keys)?;
        return if stored.checkpoint.service == service {
            Ok(vec![stored])
        } else {
            Ok(Vec::new())
        };
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(place).map_err(|error| file(place, error))? {
        let path = entry.map_err(|error| file(place, error))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let stored = read(&path, keys)?;
            if stored.checkpoint.service == service {
                found.push(stored);
            }
        }
    }
    found.sort_by_key(|stored| stored.checkpoint.position);
    Ok(found)
}

/// The last one of a service in this life of its log; a folder that is not there has none.
pub fn newest(
    folder: &Path,
    service: &str,
    epoch: Uuid,
    keys: &CheckpointKeys,
) -> Result<Option<Stored>, CheckpointError> {
    let (begin, end) = (format!("{service}-"), life(epoch));
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries.map_err(|error| file(folder, error))?,
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(&begin) && name.ends_with(&end))
        .max()
        .map(|name| read(&folder.join(name), keys))
        .transpose()
}

/// How the names of one life of a log end.
fn life(epoch: Uuid) -> String {
    format!("-{:08x}.json", epoch.as_fields().0)
}

fn read(path: &Path, keys: &CheckpointKeys) -> Result<Stored, CheckpointError> {
    let text = fs::read_to_string(path).map_err(|error| file(path, error))?;
    let checkpoint: Checkpoint =
        serde_json::from_str(&text).map_err(|_| CheckpointError::Malformed {
            path: path.to_owned(),
        })?;
    keys.verify(&checkpoint)
        .map_err(|forged| CheckpointError::Forged {
            path: path.to_owned(),
            forged,
        })?;
    Ok(Stored {
        path: path.to_owned(),
        checkpoint,
    })
}

fn file(path: &Path, source: io::Error) -> CheckpointError {
    CheckpointError::File {
        path: path.to_owned(),
        source,
    }
}
