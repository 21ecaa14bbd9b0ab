//! Signing by Standard Webhooks 1.0.0: HMAC-SHA256 (RFC 2104) of `id.timestamp.body`.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;
use thiserror::Error;

const PREFIX: &str = "whsec_";
const BYTES_MIN: usize = 24;
const BYTES_MAX: usize = 64;
/// The new one and the old one while a receiver changes, and one more.
const SECRETS_MAX: usize = 3;

/// What notices are signed with: each secret makes a signature, so that a receiver may know either one while
/// it changes.
#[derive(Clone)]
pub struct Secrets(Vec<hmac::Key>);

/// A text that has no secrets to sign with.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "must have 1 to 3 lines, each `whsec_` and 24 to 64 bytes in base64; make one with \
     `echo whsec_$(openssl rand -base64 32)`"
)]
pub struct InvalidSecrets;

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl Secrets {
    /// Reads secrets, one in each line. Empty lines count for nothing.
    pub fn parse(text: &str) -> Result<Self, InvalidSecrets> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys = lines.map(key).collect::<Result<Vec<_>, _>>()?;
        if (1..=SECRETS_MAX).contains(&keys.len()) { Ok(Self(keys)) } else { Err(InvalidSecrets) }
    }

    /// The header `webhook-signature`: `v1,` and base64 for each secret, with blanks between.
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let signed = format!("{id}.{timestamp}.{body}");
        let signatures = self.0.iter().map(|key| {
            let tag = hmac::sign(key, signed.as_bytes());
            format!("v1,{}", STANDARD.encode(tag))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

fn key(line: &str) -> Result<hmac::Key, InvalidSecrets> {
    let digits = line.strip_prefix(PREFIX).ok_or(InvalidSecrets)?;
    let bytes = STANDARD.decode(digits).ok().ok_or(InvalidSecrets)?;
    if (BYTES_MIN..=BYTES_MAX).contains(&bytes.len()) {
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
    } else {
        Err(InvalidSecrets)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the libraries of the specification test themselves with.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn signed(secrets: &str) -> String {
        let secrets = Secrets::parse(secrets).unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        secrets.sign(id, 1_614_265_330, "{\"test\": 2432232314}")
    }

    #[test]
    fn the_published_example_has_its_published_signature() {
        assert_eq!(signed(SECRET), SIGNATURE);
    }

    #[test]
    fn each_secret_signs_in_the_order_of_the_lines() {
        let other = format!("whsec_{}", STANDARD.encode([7; 32]));
        let both = signed(&format!("\n{other}\n {SECRET} \n"));
        assert_eq!(both, format!("{} {SIGNATURE}", signed(&other)));
    }

    #[test]
    fn what_is_no_secret_is_refused_and_none_is_shown() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![1; bytes]));
        for good in [24, 64] {
            assert!(Secrets::parse(&of(good)).is_ok(), "{good}");
        }
        let four = [of(24), of(24), of(24), of(24)].join("\n");
        for bad in
            ["", "\n", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!", &of(23), &of(65), &four]
        {
            assert!(Secrets::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(format!("{:?}", Secrets::parse(SECRET).unwrap()), "Secrets(..)");
    }

    proptest! {
        #[test]
        fn any_text_is_secrets_or_an_error(text in "(whsec_[A-Za-z0-9+/=]*\n?)*|.*") {
            drop(Secrets::parse(&text));
        }
    }
}
