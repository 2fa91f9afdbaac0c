//! AES-256-GCM with random nonces: of data keys, and of the personal fields of a payload.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use es::{Recorded, Subject, personal};
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::KeyRing;
use crate::LogError;

const TAG_LEN: usize = 16;
/// Length of a key that another key has sealed.
pub(super) const SEALED_KEY: usize = NONCE_LEN + 32 + TAG_LEN;

/// Encrypts the personal fields of a payload.
pub(crate) fn seal_payload(
    ring: &KeyRing,
    event_id: Uuid,
    payload: &mut Value,
) -> Result<(), LogError> {
    personal::seal(payload, &mut |subject, clear| {
        let Some(Some(key)) = ring.get(subject) else {
            return Err(LogError::Erased {
                subject: subject.clone(),
            });
        };
        let sealed = encrypt(key, &field(subject, event_id), clear)?;
        Ok(BASE64.encode(sealed))
    })
}

/// Opens the personal fields that there are keys for.
pub(super) fn open_payload(ring: &KeyRing, event: &mut Recorded) -> Result<(), LogError> {
    let corrupt = |what: &str| LogError::Corrupt(format!("{what} at position {}", event.position));
    let mut payload: Value =
        serde_json::from_slice(&event.payload).map_err(|_| corrupt("payload"))?;
    personal::open(&mut payload, &mut |subject, sealed| {
        let Some(Some(key)) = ring.get(subject) else {
            return Ok(None);
        };
        let mut bytes = BASE64
            .decode(sealed)
            .map_err(|_| corrupt("personal field"))?;
        decrypt(key, &field(subject, event.event_id), &mut bytes)
            .map(|clear| Some(clear.to_vec()))
            .ok_or_else(|| corrupt("personal field"))
    })?;
    event.payload = payload.to_string().into_bytes();
    Ok(())
}

/// What a ciphertext is bound to: moved to another event or person, it does not open.
fn field(subject: &Subject, event_id: Uuid) -> Vec<u8> {
    [subject.as_str().as_bytes(), event_id.as_bytes()].concat()
}

fn cipher(key: &[u8; 32]) -> Option<RandomizedNonceKey> {
    RandomizedNonceKey::new(&AES_256_GCM, key).ok()
}

/// Nonce, ciphertext, tag.
pub(super) fn encrypt(key: &[u8; 32], bound: &[u8], clear: &[u8]) -> Result<Vec<u8>, LogError> {
    let mut sealed = clear.to_vec();
    let nonce = cipher(key)
        .and_then(|key| {
            key.seal_in_place_append_tag(Aad::from(bound), &mut sealed)
                .ok()
        })
        .ok_or(LogError::Invalid("cannot be encrypted"))?;
    Ok([nonce.as_ref().as_slice(), &sealed].concat())
}

fn decrypt<'b>(key: &[u8; 32], bound: &[u8], sealed: &'b mut [u8]) -> Option<&'b [u8]> {
    let (nonce, sealed) = sealed.split_at_mut_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    cipher(key)?
        .open_in_place(nonce, Aad::from(bound), sealed)
        .ok()
        .map(|clear| &*clear)
}

/// A key that another key has sealed.
pub(super) fn decrypt_key(
    key: &[u8; 32],
    bound: &[u8],
    sealed: &[u8],
) -> Option<Zeroizing<[u8; 32]>> {
    let mut sealed = Zeroizing::new(sealed.to_vec());
    let clear = decrypt(key, bound, &mut sealed)?;
    <[u8; 32]>::try_from(clear).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ciphertext_opens_only_where_it_belongs() {
        let key = [7; 32];
        let sealed = encrypt(&key, b"person:1", "Ильин".as_bytes()).unwrap();

        let opened = |bound: &[u8], sealed: &[u8]| {
            decrypt(&key, bound, &mut sealed.to_vec()).map(<[u8]>::to_vec)
        };
        assert_eq!(opened(b"person:1", &sealed).unwrap(), "Ильин".as_bytes());
        assert_eq!(opened(b"person:2", &sealed), None);
        assert_eq!(opened(b"person:1", &sealed[..5]), None);
    }
}
