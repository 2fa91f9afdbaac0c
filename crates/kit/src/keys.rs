//! The keys of personal data: the master keys, each 32 random bytes in base64 on a line of
//! `master.key`, the one in use first; and `names.key`, under which names are hashed that may not be
//! kept. That one follows from the first master key and outlives it: what was hashed must be found
//! again after every rotation.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use es_postgres::{KeyId, MasterKey, MasterKeys};
use sqlx::PgConnection;
use zeroize::Zeroizing;

use crate::{StartError, Tasks, Tokens, checkpoints};

const MASTER_KEYS: &str = "master.key";
const NAMES_KEY: &str = "names.key";
/// How soon a process wraps with a master key that was added.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Makes the keys of an installation, those that are not there yet. Only when it is set up: a
/// service that made itself a new master key could not read what the old one has sealed.
pub fn create_keys(folder: &Path) -> Result<(), StartError> {
    Tokens::create_keys(folder)?;
    checkpoints::create_keys(folder)?;
    let path = folder.join(MASTER_KEYS);
    create(&path, &random_key(&path)?)?;
    // A lasting rotation has the first key last.
    let first = read_master_keys(folder)?.pop();
    let names = first.as_ref().map(MasterKey::names).unwrap_or_default();
    create(&folder.join(NAMES_KEY), &names)
}

/// The master keys as they are kept now, the one in use first.
pub fn read_master_keys(folder: &Path) -> Result<Vec<MasterKey>, StartError> {
    let keys = read_keys(&folder.join(MASTER_KEYS))?;
    Ok(keys.iter().map(|key| MasterKey::new(**key)).collect())
}

/// Whether the personal data of a database is under a master key of this installation. True for a new
/// database: the first service that opens it notes the key.
pub async fn master_key_belongs(
    folder: &Path,
    connection: &mut PgConnection,
) -> Result<bool, StartError> {
    let own = read_master_keys(folder)?;
    let known: Vec<Vec<u8>> = sqlx::query_scalar("select check_value from log.master_keys")
        .fetch_all(connection)
        .await
        .map_err(|error| StartError::Other(error.to_string()))?;
    let ours = |key: &MasterKey| known.iter().any(|known| known[..] == key.check_value());
    Ok(known.is_empty() || own.iter().any(ours))
}

/// Puts a new master key in use; those before it still unwrap.
pub fn add_master_key(folder: &Path) -> Result<KeyId, StartError> {
    let path = folder.join(MASTER_KEYS);
    let mut keys = read_keys(&path)?;
    keys.insert(0, random_key(&path)?);
    replace(&path, &keys)?;
    Ok(MasterKey::new(*keys[0]).id())
}

/// Removes all master keys but the one in use. Gives how many there were.
pub fn retire_master_keys(folder: &Path) -> Result<usize, StartError> {
    let path = folder.join(MASTER_KEYS);
    let mut keys = read_keys(&path)?;
    let former = keys.len() - 1;
    if former > 0 {
        keys.truncate(1);
        replace(&path, &keys)?;
    }
    Ok(former)
}

/// The keys of a running process: what is added to the file is known without a restart.
pub fn master_keys(folder: &Path) -> Result<MasterKeys, StartError> {
    let keys = read_master_keys(folder)?;
    let names = read_keys(&folder.join(NAMES_KEY))?.swap_remove(0);
    let folder = folder.to_owned();
    let read = move || match read_master_keys(&folder) {
        Ok(keys) => Some(keys),
        Err(error) => {
            tracing::warn!("the master keys stay as they are: {error}");
            None
        }
    };
    Ok(MasterKeys::new(&keys, names, read))
}

/// Follows the file for as long as the process runs.
pub(crate) fn follow(master: &MasterKeys, tasks: &Tasks) {
    let master = master.clone();
    tasks.spawn("master keys", async move {
        loop {
            tokio::time::sleep(READ_AGAIN).await;
            if master.read_again()
                && let Some(id) = master.current()
            {
                tracing::info!(master = %id, "another master key is in use");
            }
        }
    });
}

type Key = Zeroizing<[u8; 32]>;

/// At least one.
fn read_keys(path: &Path) -> Result<Vec<Key>, StartError> {
    let what = match fs::read_to_string(path).map(Zeroizing::new) {
        Ok(text) => {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let keys: Option<Vec<Key>> = lines.map(key).collect();
            match keys {
                Some(keys) if !keys.is_empty() => return Ok(keys),
                _ => "must be 32 bytes in base64, one key a line".to_owned(),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            "is not there: run `kontakty migrate`, or restore it".to_owned()
        }
        Err(error) => error.to_string(),
    };
    Err(fault(path, what))
}

fn key(line: &str) -> Option<Key> {
    let bytes = Zeroizing::new(STANDARD.decode(line).ok()?);
    <[u8; 32]>::try_from(bytes.as_slice()).ok().map(Key::new)
}

fn random_key(path: &Path) -> Result<Key, StartError> {
    let mut key = Key::default();
    aws_lc_rs::rand::fill(&mut *key)
        .map_err(|_| fault(path, "no random bytes to be had".to_owned()))?;
    Ok(key)
}

fn fault(path: &Path, what: String) -> StartError {
    StartError::Key {
        path: path.to_owned(),
        what,
    }
}

fn text(keys: &[Key]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    for key in keys {
        STANDARD.encode_string(**key, &mut text);
        text.push('\n');
    }
    text
}

/// Unless it is there.
fn create(path: &Path, key: &Key) -> Result<(), StartError> {
    match write_new(path, &text(std::slice::from_ref(key))) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(fault(path, error.to_string()))
        }
        _ => Ok(()),
    }
}

/// Readers find the old keys or the new ones.
fn replace(path: &Path, keys: &[Key]) -> Result<(), StartError> {
    let replaced = draft(path, &text(keys)).and_then(|draft| fs::rename(draft, path));
    replaced.map_err(|error| fault(path, error.to_string()))
}

/// Readable by its owner alone; there at once and as a whole, whoever else is writing it.
pub(crate) fn write_new(path: &Path, content: &str) -> io::Result<()> {
    let draft = draft(path, content)?;
    let written = fs::hard_link(&draft, path);
    // A left-over draft harms nobody.
    let _ = fs::remove_file(&draft);
    written
}

fn draft(path: &Path, content: &str) -> io::Result<PathBuf> {
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    Ok(draft)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("kit-keys-{name}-{}", std::process::id()))
    }

    fn ids(folder: &Path) -> Vec<KeyId> {
        let keys = read_master_keys(folder).unwrap();
        keys.iter().map(MasterKey::id).collect()
    }

    #[test]
    fn the_master_key_is_made_once_and_never_by_a_reader() {
        let folder = folder("once");
        assert!(master_keys(&folder).is_err());

        create_keys(&folder).unwrap();
        let made = ids(&folder);
        assert_eq!(made.len(), 1);
        create_keys(&folder).unwrap();
        assert_eq!(ids(&folder), made);

        fs::write(folder.join(MASTER_KEYS), "nonsense").unwrap();
        let refused = read_master_keys(&folder).unwrap_err().to_string();
        fs::remove_dir_all(&folder).unwrap();
        assert!(!refused.contains("nonsense"), "{refused}");
    }

    #[test]
    fn a_running_process_learns_of_a_new_key() {
        let folder = folder("rotation");
        create_keys(&folder).unwrap();
        let running = master_keys(&folder).unwrap();
        let (first, names) = (running.current().unwrap(), running.derive("test"));

        let second = add_master_key(&folder).unwrap();
        assert_eq!(ids(&folder), [second, first]);
        assert!(running.read_again());
        assert_eq!(running.current(), Some(second));
        assert_eq!(retire_master_keys(&folder).unwrap(), 1);
        assert_eq!(retire_master_keys(&folder).unwrap(), 0);
        assert_eq!(ids(&folder), [second]);

        // A file in the middle of being damaged changes nothing, and names are known as before.
        fs::write(folder.join(MASTER_KEYS), "").unwrap();
        assert!(!running.read_again());
        assert_eq!(running.current(), Some(second));
        fs::write(folder.join(MASTER_KEYS), text(&[Key::new([1; 32])])).unwrap();
        create_keys(&folder).unwrap();
        assert_eq!(master_keys(&folder).unwrap().derive("test"), names);
        fs::remove_dir_all(&folder).unwrap();
    }
}
