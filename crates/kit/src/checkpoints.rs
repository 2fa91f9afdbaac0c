//! Signed heads of the logs, kept outside of the databases: whoever rewrites a log or cuts it off
//! behind our back, hashes and all, cannot rewrite these.
//!
//! A signature is Ed25519 over the lines `kontakty checkpoint 1`, service, epoch, position, hash,
//! count, at and key_id, spelled as in the file, each with a line feed behind it.

mod folder;
mod keeper;

use std::{collections::HashMap, fs, path::Path};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, SecondsFormat, Utc};
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    KeyError,
    ed25519::{create_pair, kid, read},
};

pub use folder::{CheckpointError, Stored, newest, read_checkpoints, write_checkpoint};
pub(crate) use keeper::keep;

const PRIVATE_KEY: &str = "checkpoint.pem";
// Not `.pub.pem`: whatever ends so may sign tokens.
const PUBLIC_KEY: &str = ".checkpoint.pub";

/// What a log was at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    pub service: String,
    pub epoch: Uuid,
    /// Of the newest event.
    pub position: i64,
    /// Of the newest event, hex.
    pub hash: String,
    /// Events that the hash covers.
    pub count: i64,
    /// When it was signed, RFC 3339.
    pub at: String,
    pub key_id: String,
    /// Base64.
    pub signature: String,
}

/// The newest event of a log that was found whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub epoch: Uuid,
    pub position: i64,
    pub hash: [u8; 32],
}

/// How a log differs from what was signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error("the tail was cut off")]
    Cut,
    #[error("what is recorded up to there is not what was signed")]
    Altered,
}

/// Why a checkpoint proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    #[error("it is not signed with a key of this office")]
    Key,
    #[error("its signature does not belong to its content")]
    Signature,
}

impl Checkpoint {
    fn statement(&self) -> String {
        format!(
            "kontakty checkpoint 1\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n",
            self.service, self.epoch, self.position, self.hash, self.count, self.at, self.key_id
        )
    }

    /// `head`: where the log stands; `hash`: the one it has at the position of the checkpoint.
    pub fn compare(&self, head: i64, hash: Option<&[u8]>) -> Result<(), Mismatch> {
        if head < self.position {
            return Err(Mismatch::Cut);
        }
        let same = hash
            .and_then(|hash| hash.try_into().ok())
            .is_some_and(|hash| blake3::Hash::from_bytes(hash).to_hex().as_str() == self.hash);
        if same { Ok(()) } else { Err(Mismatch::Altered) }
    }
}

/// Makes the keys that sign checkpoints where there are none yet.
pub(crate) fn create_keys(folder: &Path) -> Result<(), KeyError> {
    create_pair(folder, PRIVATE_KEY, |kid| format!("{kid}{PUBLIC_KEY}"))
}

/// Signs checkpoints.
pub struct CheckpointSigner {
    pair: Ed25519KeyPair,
    id: String,
}

impl CheckpointSigner {
    /// Reads `checkpoint.pem`.
    pub fn load(folder: &Path) -> Result<Self, KeyError> {
        let path = folder.join(PRIVATE_KEY);
        let pair = EncodingKey::from_ed_pem(&read(&path)?)
            .ok()
            .and_then(|key| Ed25519KeyPair::from_pkcs8(key.as_bytes()).ok())
            .ok_or(KeyError::Key { path })?;
        let id = kid(pair.public_key().as_ref());
        Ok(Self { pair, id })
    }

    pub fn sign(&self, service: &str, head: &Head, at: DateTime<Utc>) -> Checkpoint {
        let mut checkpoint = Checkpoint {
            service: service.to_owned(),
            epoch: head.epoch,
            position: head.position,
            hash: blake3::Hash::from_bytes(head.hash).to_hex().to_string(),
            // Positions are dense.
            count: head.position,
            at: at.to_rfc3339_opts(SecondsFormat::Secs, true),
            key_id: self.id.clone(),
            signature: String::new(),
        };
        let signature = self.pair.sign(checkpoint.statement().as_bytes());
        checkpoint.signature = STANDARD.encode(signature);
        checkpoint
    }
}

/// The public keys whose checkpoints count, by their id.
pub struct CheckpointKeys(HashMap<String, Vec<u8>>);

impl CheckpointKeys {
    /// Reads every `*.checkpoint.pub`: after a change of keys the old one stays, and so do the
    /// checkpoints signed with it.
    pub fn load(folder: &Path) -> Result<Self, KeyError> {
        let mut keys = HashMap::new();
        let entries = fs::read_dir(folder).map_err(|source| KeyError::File {
            path: folder.to_owned(),
            source,
        })?;
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.to_string_lossy().ends_with(PUBLIC_KEY) {
                let public = DecodingKey::from_ed_pem(&read(&path)?)
                    .ok()
                    .and_then(|key| Some(key.try_get_as_bytes().ok()?.to_vec()))
                    .ok_or(KeyError::Key { path })?;
                keys.insert(kid(&public), public);
            }
        }
        Ok(Self(keys))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn verify(&self, checkpoint: &Checkpoint) -> Result<(), Forged> {
        let public = self.0.get(&checkpoint.key_id).ok_or(Forged::Key)?;
        let signature = STANDARD
            .decode(&checkpoint.signature)
            .map_err(|_| Forged::Signature)?;
        UnparsedPublicKey::new(&ED25519, public)
            .verify(checkpoint.statement().as_bytes(), &signature)
            .map_err(|_| Forged::Signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tokens;

    type Change = fn(&mut Checkpoint);

    fn head() -> Head {
        Head {
            epoch: Uuid::from_u128(7),
            position: 12,
            hash: [3; 32],
        }
    }

    #[test]
    fn only_what_was_signed_counts() {
        let folder = tempfile::tempdir().unwrap();
        create_keys(folder.path()).unwrap();
        let key = CheckpointSigner::load(folder.path()).unwrap();
        let keys = CheckpointKeys::load(folder.path()).unwrap();
        let signed = key.sign("contacts", &head(), DateTime::UNIX_EPOCH);
        assert_eq!(keys.verify(&signed), Ok(()));

        let forgeries: [Change; 7] = [
            |c| c.service = "accounts".to_owned(),
            |c| c.epoch = Uuid::from_u128(8),
            |c| c.position = 11,
            |c| c.count = 11,
            |c| c.hash = "00".repeat(32),
            |c| c.at = "2026-01-01T00:00:00Z".to_owned(),
            |c| c.signature = STANDARD.encode([0; 64]),
        ];
        for forge in forgeries {
            let mut forged = signed.clone();
            forge(&mut forged);
            assert_eq!(keys.verify(&forged), Err(Forged::Signature), "{forged:?}");
        }

        let elsewhere = tempfile::tempdir().unwrap();
        create_keys(elsewhere.path()).unwrap();
        let stranger = CheckpointSigner::load(elsewhere.path()).unwrap();
        let theirs = stranger.sign("contacts", &head(), DateTime::UNIX_EPOCH);
        assert_eq!(keys.verify(&theirs), Err(Forged::Key));
        let disguised = Checkpoint {
            key_id: signed.key_id.clone(),
            ..theirs
        };
        assert_eq!(keys.verify(&disguised), Err(Forged::Signature));
    }

    #[test]
    fn a_key_of_checkpoints_signs_no_tokens() {
        let folder = tempfile::tempdir().unwrap();
        create_keys(folder.path()).unwrap();
        let identity = crate::Identity::Service("x".to_owned());
        let tokens = Tokens::load(folder.path()).unwrap();
        assert!(
            tokens
                .issue(&identity, std::time::Duration::from_mins(1))
                .is_err()
        );
        std::fs::copy(
            folder.path().join(PRIVATE_KEY),
            folder.path().join("signing.pem"),
        )
        .unwrap();
        let (token, _) = Tokens::load(folder.path())
            .unwrap()
            .issue(&identity, std::time::Duration::from_mins(1))
            .unwrap();
        std::fs::remove_file(folder.path().join("signing.pem")).unwrap();
        assert!(Tokens::load(folder.path()).unwrap().verify(&token).is_err());
    }

    #[test]
    fn a_log_is_cut_altered_or_the_same() {
        let folder = tempfile::tempdir().unwrap();
        create_keys(folder.path()).unwrap();
        let key = CheckpointSigner::load(folder.path()).unwrap();
        let signed = key.sign("contacts", &head(), DateTime::UNIX_EPOCH);
        assert_eq!(signed.compare(12, Some(&[3; 32])), Ok(()));
        assert_eq!(signed.compare(90, Some(&[3; 32])), Ok(()));
        assert_eq!(signed.compare(11, None), Err(Mismatch::Cut));
        assert_eq!(signed.compare(12, Some(&[4; 32])), Err(Mismatch::Altered));
        assert_eq!(signed.compare(12, None), Err(Mismatch::Altered));
    }
}
