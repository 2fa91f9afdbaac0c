//! The secrets of webhooks and what is signed with them, after Standard Webhooks.

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use kit::Node;
use uuid::Uuid;

/// A secret is kept nowhere: it follows from the id of its webhook under a key of the installation, so
/// that no event and no table holds it, and a repeated request to register is answered with the same
/// one.
#[derive(Clone)]
pub(super) struct Secrets(Key);

pub(super) struct Secret(Vec<u8>);

impl Secrets {
    pub(super) fn of(node: &Node) -> Self {
        let key = node.derived_key("kontakty 1 secrets of webhooks");
        Self(Key::new(HMAC_SHA256, &key))
    }

    pub(super) fn of_webhook(&self, id: Uuid) -> Secret {
        Secret(hmac::sign(&self.0, id.as_bytes()).as_ref().to_vec())
    }
}

impl Secret {
    /// As the integrator keeps it.
    pub(super) fn shown(&self) -> String {
        format!("whsec_{}", BASE64.encode(&self.0))
    }

    /// The header `webhook-signature`.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut signing = hmac::Context::with_key(&Key::new(HMAC_SHA256, &self.0));
        signing.update(format!("{id}.{timestamp}.").as_bytes());
        signing.update(body);
        format!("v1,{}", BASE64.encode(signing.sign()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn it_signs_as_the_specification_says() {
        let secret = Secret(BASE64.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap());
        assert_eq!(
            secret.sign(
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                br#"{"test": 2432232314}"#
            ),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        assert_eq!(secret.shown(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    }

    #[test]
    fn each_webhook_has_its_own_secret() {
        let secrets = |byte| Secrets(Key::new(HMAC_SHA256, &[byte; 32]));
        let shown = |byte, id| secrets(byte).of_webhook(Uuid::from_u128(id)).shown();
        assert_eq!(shown(1, 1), shown(1, 1));
        assert_ne!(shown(1, 1), shown(1, 2));
        assert_ne!(shown(1, 1), shown(2, 1));
    }
}
