//! Who calls: bearer tokens and the keys that sign them.
//!
//! A token says only who somebody is. What a member of staff may do is read from the directory at
//! every call, so a dismissal counts at once. Tokens live by real time even in an office that
//! runs on a controlled clock: a played month must not outlive a login, nor keep one alive.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::{DateTime, Utc};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
    get_current_timestamp,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vocabulary::{GroupId, Role, StaffId};

use crate::ed25519::{create_pair, kid, public_key, read};

/// Who makes a call, with what the directory knows of them at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    Staff {
        id: StaffId,
        role: Role,
        group_id: Option<GroupId>,
    },
    Gateway {
        name: String,
    },
    Service {
        name: String,
    },
    /// The caller of a public method: sees nothing, may do nothing else.
    Anyone,
}

/// Who a token says its bearer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    Staff(StaffId),
    Gateway(String),
    Service(String),
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot use {path}")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not an Ed25519 key in PEM")]
    Key { path: PathBuf },
    #[error("no signing key here: this process can only check tokens")]
    NoSigningKey,
    #[error("the key cannot be made or used")]
    Crypto,
}

/// Why a token was refused: for the log, never for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("no token")]
    Missing,
    #[error("malformed")]
    Malformed,
    #[error("unknown key")]
    UnknownKey,
    #[error("wrong signature or claims")]
    Invalid,
    #[error("not on the staff")]
    Unknown,
    #[error("dismissed")]
    Dismissed,
}

/// A checked token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) identity: Identity,
    /// From here on it is refused; Unix seconds, leeway included.
    pub(crate) ends_at: u64,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    iat: u64,
    nbf: u64,
    exp: u64,
    /// Only for those who are not staff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
}

struct Signing {
    kid: String,
    key: EncodingKey,
}

/// Issues and checks bearer tokens. EdDSA with Ed25519 and nothing else.
pub struct Tokens {
    signing: Option<Signing>,
    keys: HashMap<String, DecodingKey>,
    validation: Validation,
}

const NAME: &str = "kontakty";
const TYPE: &str = "at+jwt";
const SIGNING_KEY: &str = "signing.pem";
const PUBLIC_KEY: &str = ".pub.pem";
const LEEWAY_S: u64 = 60;
/// Ours have some 400 bytes: nobody gets work out of us with a big one.
const MAX_TOKEN_BYTES: usize = 4096;

impl Tokens {
    /// Reads `signing.pem`, if it is there, and every `*.pub.pem` beside it: during a change of
    /// keys the old public one stays until its last token has ended.
    pub fn load(folder: &Path) -> Result<Self, KeyError> {
        let mut tokens = Self {
            signing: None,
            keys: HashMap::new(),
            validation: validation(),
        };
        let private = folder.join(SIGNING_KEY);
        if private.exists() {
            let key = EncodingKey::from_ed_pem(&read(&private)?).map_err(|_| KeyError::Key {
                path: private.clone(),
            })?;
            let public = public_key(&key).ok_or(KeyError::Key { path: private })?;
            let kid = tokens.trust(DecodingKey::from_ed_der(&public));
            tokens.signing = kid.map(|kid| Signing { kid, key });
        }
        let entries = fs::read_dir(folder).map_err(|source| KeyError::File {
            path: folder.to_owned(),
            source,
        })?;
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.to_string_lossy().ends_with(PUBLIC_KEY) {
                DecodingKey::from_ed_pem(&read(&path)?)
                    .ok()
                    .and_then(|key| tokens.trust(key))
                    .ok_or(KeyError::Key { path })?;
            }
        }
        Ok(tokens)
    }

    /// Makes `signing.pem` and its public half where there is none yet.
    pub fn create_keys(folder: &Path) -> Result<(), KeyError> {
        create_pair(folder, SIGNING_KEY, |kid| format!("{kid}{PUBLIC_KEY}"))
    }

    /// A token and when it ends.
    pub fn issue(
        &self,
        identity: &Identity,
        ttl: Duration,
    ) -> Result<(String, DateTime<Utc>), KeyError> {
        let signing = self.signing.as_ref().ok_or(KeyError::NoSigningKey)?;
        let (sub, role) = match identity {
            Identity::Staff(id) => (id.to_string(), None),
            Identity::Gateway(name) => (name.clone(), Some("gateway")),
            Identity::Service(name) => (name.clone(), Some("service")),
        };
        let now = get_current_timestamp();
        let exp = now + ttl.as_secs();
        let claims = Claims {
            iss: NAME.to_owned(),
            aud: NAME.to_owned(),
            sub,
            iat: now,
            nbf: now,
            exp,
            role: role.map(str::to_owned),
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(signing.kid.clone());
        let token = encode(&header, &claims, &signing.key).map_err(|_| KeyError::Crypto)?;
        let ends_at = DateTime::from_timestamp(exp as i64, 0).ok_or(KeyError::Crypto)?;
        Ok((token, ends_at))
    }

    pub(crate) fn verify(&self, token: &str) -> Result<Verified, Refused> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refused::Malformed);
        }
        let header = decode_header(token).map_err(|_| Refused::Malformed)?;
        // A header we would have to obey but do not know is refused; `jwk`, `jku` and `x5u` are
        // not obeyed: keys come from the configured folder only.
        if header.crit.is_some() || !header.typ.is_some_and(|typ| typ.eq_ignore_ascii_case(TYPE)) {
            return Err(Refused::Malformed);
        }
        let key = header
            .kid
            .and_then(|kid| self.keys.get(&kid))
            .ok_or(Refused::UnknownKey)?;
        let claims = decode::<Claims>(token, key, &self.validation)
            .map_err(|_| Refused::Invalid)?
            .claims;
        if claims.iat > get_current_timestamp() + LEEWAY_S {
            return Err(Refused::Invalid);
        }
        let identity = match claims.role.as_deref() {
            None => Uuid::parse_str(&claims.sub)
                .map(|id| Identity::Staff(StaffId(id)))
                .map_err(|_| Refused::Invalid)?,
            Some(_) if claims.sub.is_empty() => return Err(Refused::Invalid),
            Some("gateway") => Identity::Gateway(claims.sub),
            Some("service") => Identity::Service(claims.sub),
            Some(_) => return Err(Refused::Invalid),
        };
        Ok(Verified {
            identity,
            ends_at: claims.exp + LEEWAY_S,
        })
    }

    fn trust(&mut self, key: DecodingKey) -> Option<String> {
        let kid = kid(key.try_get_as_bytes().ok()?);
        self.keys.insert(kid.clone(), key);
        Some(kid)
    }
}

fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[NAME]);
    validation.set_audience(&[NAME]);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
    validation.validate_nbf = true;
    validation.leeway = LEEWAY_S;
    validation
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::Ed25519KeyPair;
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("kit-keys-{}-{name}", std::process::id()));
            Tokens::create_keys(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn claims() -> Value {
        let now = get_current_timestamp();
        json!({
            "iss": "kontakty", "aud": "kontakty", "sub": Uuid::from_u128(1).to_string(),
            "iat": now, "nbf": now, "exp": now + 600,
        })
    }

    fn header(tokens: &Tokens) -> Value {
        let kid = &tokens.signing.as_ref().unwrap().kid;
        json!({"typ": "at+jwt", "alg": "EdDSA", "kid": kid})
    }

    fn with(mut object: Value, name: &str, value: Value) -> Value {
        object[name] = value;
        object
    }

    fn without(mut object: Value, name: &str) -> Value {
        object.as_object_mut().unwrap().remove(name);
        object
    }

    /// Any header and claims at all, rightly signed with this key.
    fn signed(header: &Value, claims: &Value, key: &EncodingKey) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let pair = Ed25519KeyPair::from_pkcs8(key.as_bytes()).unwrap();
        let signature = URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    #[test]
    fn what_is_issued_is_accepted() {
        let folder = Folder::new("issue");
        let tokens = Tokens::load(&folder.0).unwrap();
        for identity in [
            Identity::Staff(StaffId(Uuid::from_u128(1))),
            Identity::Gateway("telephony".to_owned()),
            Identity::Service("planning".to_owned()),
        ] {
            let (token, ends_at) = tokens.issue(&identity, Duration::from_mins(1)).unwrap();
            let verified = tokens.verify(&token).unwrap();
            assert_eq!(verified.identity, identity);
            assert_eq!(verified.ends_at, ends_at.timestamp() as u64 + LEEWAY_S);
        }
    }

    #[test]
    fn keys_are_made_once_and_only_their_owner_reads_them() {
        use std::os::unix::fs::PermissionsExt;

        let folder = Folder::new("once");
        let private = folder.0.join(SIGNING_KEY);
        let before = fs::read(&private).unwrap();
        Tokens::create_keys(&folder.0).unwrap();
        assert_eq!(fs::read(&private).unwrap(), before);
        assert_eq!(
            fs::metadata(&private).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn a_public_key_is_enough_to_check_and_an_old_one_counts_while_it_lies_there() {
        let (old, new) = (Folder::new("old"), Folder::new("new"));
        let identity = Identity::Staff(StaffId(Uuid::from_u128(1)));
        let issuer = Tokens::load(&old.0).unwrap();
        let (token, _) = issuer.issue(&identity, Duration::from_mins(1)).unwrap();
        let name = format!("{}{PUBLIC_KEY}", issuer.signing.as_ref().unwrap().kid);
        assert_eq!(
            Tokens::load(&new.0).unwrap().verify(&token),
            Err(Refused::UnknownKey)
        );

        fs::copy(old.0.join(&name), new.0.join(&name)).unwrap();
        fs::remove_file(new.0.join(SIGNING_KEY)).unwrap();
        let checker = Tokens::load(&new.0).unwrap();
        assert_eq!(checker.verify(&token).unwrap().identity, identity);
        assert!(matches!(
            checker.issue(&identity, Duration::from_mins(1)),
            Err(KeyError::NoSigningKey)
        ));
    }

    #[test]
    fn what_is_no_key_is_refused_at_the_start() {
        let folder = Folder::new("bad");
        fs::write(folder.0.join("x.pub.pem"), "not a key").unwrap();
        assert!(matches!(Tokens::load(&folder.0), Err(KeyError::Key { .. })));
    }

    #[test]
    fn bad_tokens_are_refused() {
        let (folder, other) = (Folder::new("corpus"), Folder::new("stranger"));
        let tokens = Tokens::load(&folder.0).unwrap();
        let stranger = Tokens::load(&other.0).unwrap();
        let key = &tokens.signing.as_ref().unwrap().key;
        let foreign = &stranger.signing.as_ref().unwrap().key;
        let now = get_current_timestamp();
        let h = || header(&tokens);
        assert!(tokens.verify(&signed(&h(), &claims(), key)).is_ok());
        assert!(
            tokens
                .verify(&signed(&h(), &with(claims(), "exp", json!(now - 58)), key))
                .is_ok()
        );

        for (what, token) in malformed(&signed(&h(), &claims(), key)) {
            assert!(tokens.verify(&token).is_err(), "{what}");
        }
        for (what, header, key) in [
            ("another's key under our kid", h(), foreign),
            ("another's kid", header(&stranger), foreign),
            ("our key under another's kid", header(&stranger), key),
            ("no kid", without(h(), "kid"), key),
            ("kid of another type", with(h(), "kid", json!(7)), key),
            (
                "kid as a path",
                with(h(), "kid", json!("../signing.pem")),
                key,
            ),
            ("alg none", with(h(), "alg", json!("none")), key),
            ("alg HS256", with(h(), "alg", json!("HS256")), key),
            ("alg RS256", with(h(), "alg", json!("RS256")), key),
            ("alg ES256", with(h(), "alg", json!("ES256")), key),
            (
                "alg in other letters",
                with(h(), "alg", json!("eddsa")),
                key,
            ),
            ("no alg", without(h(), "alg"), key),
            ("an ID token", with(h(), "typ", json!("JWT")), key),
            ("no typ", without(h(), "typ"), key),
            ("critical header", with(h(), "crit", json!(["exp"])), key),
        ] {
            assert!(
                tokens.verify(&signed(&header, &claims(), key)).is_err(),
                "{what}"
            );
        }
        for (what, claims) in bad_claims(now) {
            assert!(
                tokens.verify(&signed(&h(), &claims, key)).is_err(),
                "{what}"
            );
        }
        // The key it carries is not believed.
        let jwk = json!({"kty": "OKP", "crv": "Ed25519",
            "x": URL_SAFE_NO_PAD.encode(public_key(foreign).unwrap())});
        let carried = signed(&with(h(), "jwk", jwk), &claims(), foreign);
        assert!(tokens.verify(&carried).is_err());
        // HS256 with the public key as its secret.
        let mut hs = Header::new(Algorithm::HS256);
        hs.typ = Some(TYPE.to_owned());
        hs.kid = Some(tokens.signing.as_ref().unwrap().kid.clone());
        let secret = EncodingKey::from_secret(&public_key(key).unwrap());
        assert!(
            tokens
                .verify(&encode(&hs, &claims(), &secret).unwrap())
                .is_err()
        );
    }

    fn malformed(good: &str) -> Vec<(&'static str, String)> {
        let parts: Vec<_> = good.split('.').collect();
        let (header, claims, signature) = (parts[0], parts[1], parts[2]);
        let other = URL_SAFE_NO_PAD.encode(with(claims_of(claims), "sub", json!("x")).to_string());
        vec![
            ("nothing", String::new()),
            ("dots", "..".to_owned()),
            ("words", "не токен".to_owned()),
            ("no signature", format!("{header}.{claims}.")),
            ("two parts", format!("{header}.{claims}")),
            ("four parts", format!("{good}.{signature}")),
            ("other claims", format!("{header}.{other}.{signature}")),
            ("short signature", good[..good.len() - 2].to_owned()),
            (
                "zero signature",
                format!("{header}.{claims}.{}", "A".repeat(86)),
            ),
            ("padding", format!("{good}=")),
            ("space", format!("{good} ")),
            (
                "10 KiB",
                format!("{header}.{}.{signature}", "A".repeat(10 << 10)),
            ),
        ]
    }

    fn claims_of(part: &str) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    fn bad_claims(now: u64) -> Vec<(String, Value)> {
        let mut bad = Vec::new();
        for name in ["iss", "aud", "sub", "iat", "nbf", "exp"] {
            bad.push((format!("no {name}"), without(claims(), name)));
            bad.push((format!("{name} is null"), with(claims(), name, Value::Null)));
        }
        for (name, value) in [
            ("exp", json!(now - 62)),
            ("exp", json!((now + 600).to_string())),
            ("exp", json!(-1)),
            ("exp", json!(1e300)),
            ("nbf", json!(now + 62)),
            ("nbf", json!(now.to_string())),
            ("iat", json!(now + 62)),
            ("iss", json!("https://accounts.example.org")),
            ("iss", json!(["kontakty"])),
            ("aud", json!("other")),
            ("aud", json!(["kontakty"])),
            ("aud", json!(["kontakty", "other"])),
            ("sub", json!("")),
            ("sub", json!("administrator")),
            ("sub", json!(1)),
            ("role", json!("administrator")),
            ("role", json!("")),
            ("role", json!(["service"])),
        ] {
            bad.push((format!("{name} is {value}"), with(claims(), name, value)));
        }
        let nobody = with(claims(), "role", json!("service"));
        bad.push((
            "a service without a name".to_owned(),
            with(nobody, "sub", json!("")),
        ));
        bad
    }
}
