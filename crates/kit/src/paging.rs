//! Keyset pages: the token holds the sort key of the last row, signed together with everything
//! else the request said, so that it fits this list and no other.

use api::common::PageRequest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};

use crate::{AppError, Violations};

const DEFAULT_SIZE: i64 = 50;
const MAX_SIZE: i64 = 200;
const MAC_BYTES: usize = 16;
/// A key has a few fields: a longer token is not ours.
const MAX_TOKEN_BYTES: usize = 4096;

/// Signs and checks page tokens. All replicas of a service must have the same secret.
#[derive(Clone)]
pub struct Pages {
    key: [u8; 32],
}

/// Which part of a list is asked for.
pub struct Page {
    /// How many rows the answer has at most.
    pub limit: i64,
    key: [u8; 32],
    fingerprint: [u8; 32],
    after: Option<Vec<u8>>,
}

/// What a token is bound to: the request without its page and its `min_positions`.
pub fn fingerprint(filter: &impl Message) -> [u8; 32] {
    blake3::hash(&filter.encode_to_vec()).into()
}

impl Pages {
    pub fn new(secret: &[u8]) -> Self {
        Self {
            key: blake3::derive_key("kontakty 2026 page tokens", secret),
        }
    }

    /// Size 0 or absent is 50, more than 200 is 200.
    pub fn open<'a>(
        &self,
        request: impl Into<Option<&'a PageRequest>>,
        filter: impl AsRef<[u8]>,
    ) -> Result<Page, AppError> {
        let mut v = Violations::new();
        let (size, token) = request
            .into()
            .map_or((0, ""), |page| (i64::from(page.size), page.token.as_str()));
        if size < 0 {
            v.add("page.size", "must not be negative");
        }
        let mut page = Page {
            limit: match size {
                ..=0 => DEFAULT_SIZE,
                size => size.min(MAX_SIZE),
            },
            key: self.key,
            fingerprint: blake3::hash(filter.as_ref()).into(),
            after: None,
        };
        if !token.is_empty() {
            page.after = page.read(token);
            if page.after.is_none() {
                v.add("page.token", "is not a token of this list");
            }
        }
        v.finish()?;
        Ok(page)
    }
}

impl Page {
    /// Sort key of the last row of the page before; `None`: the first page.
    pub fn after<K: DeserializeOwned>(&self) -> Option<K> {
        serde_json::from_slice(self.after.as_ref()?).ok()
    }

    /// How many rows to fetch: one more than fits tells whether there is a next page.
    pub fn fetch(&self) -> i64 {
        self.limit + 1
    }

    /// Token of the page that begins behind the row with this sort key.
    pub fn next_token(&self, key: &impl Serialize) -> String {
        let key = serde_json::to_vec(key).unwrap_or_default();
        let mut token = self.mac(&key).to_vec();
        token.extend(key);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// Takes the surplus row off what [`Page::fetch`] fetched; the token is empty on the last page.
    pub fn cut<R, K: Serialize>(&self, rows: &mut Vec<R>, key: impl Fn(&R) -> K) -> String {
        let limit = self.limit as usize;
        if rows.len() <= limit {
            return String::new();
        }
        rows.truncate(limit);
        rows.last()
            .map_or_else(String::new, |last| self.next_token(&key(last)))
    }

    fn read(&self, token: &str) -> Option<Vec<u8>> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (mac, key) = bytes.split_at_checked(MAC_BYTES)?;
        let expected = self.mac(key);
        // Compared as hashes of hashes: how many bytes fit does not show in the time taken.
        (blake3::hash(mac) == blake3::hash(&expected)).then(|| key.to_vec())
    }

    fn mac(&self, key: &[u8]) -> [u8; MAC_BYTES] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&self.fingerprint).update(key);
        let mut mac = [0; MAC_BYTES];
        hasher.finalize_xof().fill(&mut mac);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(size: i32, token: &str) -> PageRequest {
        PageRequest {
            size,
            token: token.to_owned(),
        }
    }

    #[test]
    fn sizes() {
        let pages = Pages::new(b"secret");
        let limit = |size| {
            pages
                .open(&request(size, ""), "")
                .map(|page| page.limit)
                .ok()
        };
        assert_eq!(pages.open(None, "").unwrap().limit, 50);
        assert_eq!(pages.open(&None, "").unwrap().limit, 50);
        assert_eq!(limit(0), Some(50));
        assert_eq!(limit(7), Some(7));
        assert_eq!(limit(201), Some(200));
        assert_eq!(limit(-1), None);
    }

    #[test]
    fn a_token_fits_its_own_list_only() {
        let pages = Pages::new(b"secret");
        let first = pages.open(&request(2, ""), "mine").unwrap();
        let mut rows = vec![("Альфа", 1), ("Бета", 2), ("Вега", 3)];
        let token = first.cut(&mut rows, |row| *row);
        assert_eq!(rows.len(), 2);

        let second = pages.open(&request(3, &token), "mine").unwrap();
        assert_eq!(
            second.after::<(String, i32)>(),
            Some(("Бета".to_owned(), 2))
        );
        assert_eq!(second.cut(&mut vec![("Вега", 3)], |row| *row), "");

        assert!(pages.open(&request(2, &token), "other").is_err());
        assert!(
            Pages::new(b"other")
                .open(&request(2, &token), "mine")
                .is_err()
        );
        for tampered in tampered(&token) {
            assert!(
                pages.open(&request(2, &tampered), "mine").is_err(),
                "{tampered}"
            );
        }
    }

    fn tampered(token: &str) -> Vec<String> {
        let mut all = vec![
            "x".to_owned(),
            "не токен".to_owned(),
            "A".repeat(5_000),
            format!("{token}="),
            format!("{token}AAAA"),
            token[..token.len() - 4].to_owned(),
        ];
        let bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
        for index in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[index] ^= 1;
            all.push(URL_SAFE_NO_PAD.encode(bytes));
        }
        all
    }
}
