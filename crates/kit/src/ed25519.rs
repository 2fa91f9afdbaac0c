//! Ed25519 keys in PEM files: a private one, and its public half beside it under a name that follows
//! from the key.

use std::{fs, io, path::Path};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jsonwebtoken::EncodingKey;

use crate::{KeyError, keys::write_new};

/// Makes a pair where there is no private key yet.
pub(crate) fn create_pair(
    folder: &Path,
    private: &str,
    public: impl Fn(&str) -> String,
) -> Result<(), KeyError> {
    let private = folder.join(private);
    if private.exists() {
        return Ok(());
    }
    let file_error = |path: &Path| {
        let path = path.to_owned();
        move |source| KeyError::File { path, source }
    };
    fs::create_dir_all(folder).map_err(file_error(folder))?;
    let der =
        Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).map_err(|_| KeyError::Crypto)?;
    let key = EncodingKey::from_ed_der(der.as_ref());
    let raw = public_key(&key).ok_or(KeyError::Crypto)?;
    match write_new(&private, &pem("PRIVATE KEY", der.as_ref())) {
        // Somebody else was faster: theirs is the key.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        result => result.map_err(file_error(&private))?,
    }
    // For those who only check; whoever signs knows it from the private one.
    let path = folder.join(public(&kid(&raw)));
    let der = [&PUBLIC_PREFIX[..], &raw].concat();
    fs::write(&path, pem("PUBLIC KEY", &der)).map_err(file_error(&path))
}

/// The key's own name: follows from its bytes, so nobody has to keep a list.
pub(crate) fn kid(public: &[u8]) -> String {
    blake3::hash(public).to_hex()[..16].to_owned()
}

pub(crate) fn public_key(key: &EncodingKey) -> Option<Vec<u8>> {
    let pair = Ed25519KeyPair::from_pkcs8(key.as_bytes()).ok()?;
    Some(pair.public_key().as_ref().to_vec())
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, KeyError> {
    fs::read(path).map_err(|source| KeyError::File {
        path: path.to_owned(),
        source,
    })
}

/// RFC 8410: what stands before the 32 bytes of the key in a SubjectPublicKeyInfo.
const PUBLIC_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    let encoded = STANDARD.encode(der);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text + &format!("-----END {label}-----\n")
}
