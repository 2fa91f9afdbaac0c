//! The master key of personal data: 32 random bytes in base64, in `master.key`.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use es_postgres::MasterKey;
use sqlx::PgConnection;

use crate::{StartError, Tokens, checkpoints};

const MASTER_KEY: &str = "master.key";

/// Makes the keys of an installation, those that are not there yet. Only when it is set up: a
/// service that made itself a new master key could not read what the old one has sealed.
pub fn create_keys(folder: &Path) -> Result<(), StartError> {
    Tokens::create_keys(folder)?;
    checkpoints::create_keys(folder)?;
    let path = folder.join(MASTER_KEY);
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key).map_err(|_| StartError::Key {
        path: path.clone(),
        what: "no random bytes to be had".to_owned(),
    })?;
    match write_new(&path, &format!("{}\n", STANDARD.encode(key))) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(StartError::Key {
            path,
            what: error.to_string(),
        }),
        _ => Ok(()),
    }
}

/// Whether the personal data of a database is under the master key of this installation. True for a
/// new database: the first service that opens it notes the key.
pub async fn master_key_belongs(
    folder: &Path,
    connection: &mut PgConnection,
) -> Result<bool, StartError> {
    let own = MasterKey::new(master_key(folder)?).check_value();
    let known: Vec<Vec<u8>> = sqlx::query_scalar("select check_value from log.master_keys")
        .fetch_all(connection)
        .await
        .map_err(|error| StartError::Other(error.to_string()))?;
    Ok(known.is_empty() || known.iter().any(|known| known[..] == own))
}

pub(crate) fn master_key(folder: &Path) -> Result<[u8; 32], StartError> {
    let path: PathBuf = folder.join(MASTER_KEY);
    let what = match fs::read_to_string(&path) {
        Ok(text) => match STANDARD.decode(text.trim()).map(<[u8; 32]>::try_from) {
            Ok(Ok(key)) => return Ok(key),
            _ => "must be 32 bytes in base64".to_owned(),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            "is not there: run `kontakty migrate`, or restore it".to_owned()
        }
        Err(error) => error.to_string(),
    };
    Err(StartError::Key { path, what })
}

/// Readable by its owner alone; there at once and as a whole, whoever else is writing it.
pub(crate) fn write_new(path: &Path, content: &str) -> io::Result<()> {
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| {
            file.write_all(content.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::hard_link(&draft, path));
    // A left-over draft harms nobody.
    let _ = fs::remove_file(&draft);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_master_key_is_made_once_and_never_by_a_reader() {
        let folder = std::env::temp_dir().join(format!("kit-keys-{}", std::process::id()));
        assert!(master_key(&folder).is_err());

        create_keys(&folder).unwrap();
        let key = master_key(&folder).unwrap();
        assert_ne!(key, [0; 32]);
        create_keys(&folder).unwrap();
        assert_eq!(master_key(&folder).unwrap(), key);

        fs::write(folder.join(MASTER_KEY), "nonsense").unwrap();
        let refused = master_key(&folder).unwrap_err().to_string();
        fs::remove_dir_all(&folder).unwrap();
        assert!(!refused.contains("nonsense"), "{refused}");
    }
}
