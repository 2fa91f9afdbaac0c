//! Where bytes are kept that are too large for a log: a folder, or a bucket that speaks S3. A name
//! says what the bytes are, so nothing is ever replaced by something else.

use std::{
    fs::DirBuilder, io, os::unix::fs::DirBuilderExt, path::PathBuf, sync::Arc, time::Duration,
};

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    Error, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig, aws::AmazonS3Builder,
    buffered::BufWriter, local::LocalFileSystem, path::Path, prefix::PrefixStore,
};
use prost::bytes::Bytes;
use secrecy::ExposeSecret;
use tokio::{fs::File, io::AsyncWriteExt};

use crate::{
    AppError,
    config::{S3, Storage},
};

/// Somebody waits for the answer.
const RETRIES: usize = 3;
const RETRIED_FOR: Duration = Duration::from_secs(10);

/// Clones share it.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// Absent: a bucket.
    folder: Option<PathBuf>,
}

/// The bytes of an object, part by part.
pub type Parts = BoxStream<'static, Result<Bytes, AppError>>;

impl Objects {
    /// A folder is made when it is not there, for nobody else; a bucket must be.
    pub fn open(storage: &Storage) -> Result<Self, ObjectsError> {
        if let Storage::Folder(folder) = storage {
            let mut private = DirBuilder::new();
            private.recursive(true).mode(0o700).create(folder)?;
        }
        Self::existing(storage)
    }

    /// As [`open`](Self::open), and makes nothing.
    pub fn existing(storage: &Storage) -> Result<Self, ObjectsError> {
        match storage {
            Storage::Folder(folder) => {
                let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
                Ok(Self {
                    store: Arc::new(store),
                    folder: Some(folder.clone()),
                })
            }
            Storage::S3(config) => Ok(Self {
                store: bucket(config)?,
                folder: None,
            }),
        }
    }

    /// Keeps a file. It is there whole and for good when this returns, or not at all.
    pub async fn put(&self, name: &[&str], mut file: File) -> Result<(), AppError> {
        let mut writer = BufWriter::new(Arc::clone(&self.store), path(name));
        let written = match tokio::io::copy(&mut file, &mut writer).await {
            // Whoever fails to finish cleans up.
            Ok(_) => writer.shutdown().await,
            Err(error) => {
                // What it leaves then is a part that nobody reads.
                let _ = writer.abort().await;
                Err(error)
            }
        };
        written.map_err(|error| AppError::Unavailable(format!("object storage: {error}")))
    }

    /// `None`: it is not there.
    pub async fn get(&self, name: &[&str]) -> Result<Option<Parts>, AppError> {
        match self.store.get(&path(name)).await {
            Ok(found) => Ok(Some(
                found.into_stream().map_err(|error| away(&error)).boxed(),
            )),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(away(&error)),
        }
    }

    /// Destroys everything under a name.
    pub async fn destroy(&self, name: &[&str]) -> Result<(), AppError> {
        if let Some(folder) = &self.folder {
            // With what was never finished, which the store does not list.
            let folder = name
                .iter()
                .fold(folder.clone(), |path, part| path.join(part));
            return match tokio::fs::remove_dir_all(folder).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(AppError::Unavailable(format!("object storage: {error}")))
                }
                _ => Ok(()),
            };
        }
        let under = self.store.list(Some(&path(name)));
        let names = under.map_ok(|object| object.location).boxed();
        let deleted = self.store.delete_stream(names);
        match deleted.try_for_each(|_| std::future::ready(Ok(()))).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(away(&error)),
        }
    }

    /// Whether bytes can be kept, read and destroyed here.
    pub async fn examine(&self) -> Result<(), ObjectsError> {
        let (name, bytes) = (path(&["examined"]), Bytes::from_static(b"kontakty"));
        self.store
            .put(&name, PutPayload::from(bytes.clone()))
            .await?;
        let read = self.store.get(&name).await?.bytes().await?;
        self.store.delete(&name).await?;
        if read == bytes {
            Ok(())
        } else {
            Err(ObjectsError::Changed)
        }
    }
}

/// Why there is no place for bytes.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    #[error("the folder cannot be made: {0}")]
    Folder(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] Error),
    #[error("what was read is not what was written")]
    Changed,
}

fn bucket(config: &S3) -> Result<Arc<dyn ObjectStore>, Error> {
    let retries = RetryConfig {
        max_retries: RETRIES,
        retry_timeout: RETRIED_FOR,
        ..RetryConfig::default()
    };
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(&config.bucket)
        .with_region(&config.region)
        .with_retry(retries);
    if let Some(endpoint) = &config.endpoint {
        builder = builder
            .with_endpoint(endpoint)
            .with_allow_http(endpoint.starts_with("http://"));
    }
    if let (Some(id), Some(secret)) = (&config.access_key_id, &config.secret_access_key) {
        builder = builder
            .with_access_key_id(id)
            .with_secret_access_key(secret.expose_secret());
    }
    Ok(Arc::new(PrefixStore::new(
        builder.build()?,
        config.prefix.as_str(),
    )))
}

fn path(name: &[&str]) -> Path {
    name.iter().copied().collect()
}

fn away(error: &Error) -> AppError {
    AppError::Unavailable(format!("object storage: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        File::from_std(file)
    }

    async fn read(objects: &Objects, name: &[&str]) -> Option<Vec<u8>> {
        let parts = objects.get(name).await.unwrap()?;
        let parts: Vec<Bytes> = parts.try_collect().await.unwrap();
        Some(parts.concat())
    }

    #[tokio::test]
    async fn what_is_kept_is_there_until_it_is_destroyed() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::open(&Storage::Folder(folder.path().join("deep/down"))).unwrap();
        objects.examine().await.unwrap();
        // Larger than what is written at once.
        let large: Vec<u8> = (0..21 << 20).map(|n: u32| n.to_le_bytes()[1]).collect();
        objects.put(&["a", "1"], file(&large)).await.unwrap();
        objects.put(&["a", "2"], file(b"small")).await.unwrap();
        objects.put(&["b", "1"], file(b"other")).await.unwrap();
        assert_eq!(read(&objects, &["a", "1"]).await, Some(large));
        assert_eq!(read(&objects, &["a", "2"]).await.unwrap(), b"small");
        objects.destroy(&["a"]).await.unwrap();
        objects.destroy(&["a"]).await.unwrap();
        assert_eq!(read(&objects, &["a", "1"]).await, None);
        assert_eq!(read(&objects, &["b", "1"]).await.unwrap(), b"other");
    }

    #[test]
    fn who_only_looks_makes_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("documents");
        assert!(Objects::existing(&Storage::Folder(missing.clone())).is_err());
        assert!(!missing.exists());
    }
}
