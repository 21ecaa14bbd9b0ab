//! The keys of a bench: each is computed from its number, so that none need be remembered.

use keyward::{
    model::{
        id::KeyId,
        secret::{Brand, Digest, Pepper, PresentedKey},
        time::Timestamp,
    },
    rpc::pb::AuthorizeRequest,
};

use crate::{
    load::{blocks::own_fields, pool::Pool},
    tokens::token,
};

/// The pepper of all servers of a bench.
pub const PEPPER: &str = "a pepper for benches, of 32 bytes";
/// So many sets of permissions and route rules are shared by all keys, as by keys made of templates.
pub const PROFILES: u64 = 50;
/// Keys from here on are never stored.
const UNKNOWN: u64 = 1 << 40;

/// What is stored of a token.
pub fn digest(token: &str, brand: &Brand, pepper: &Pepper) -> Digest {
    PresentedKey::parse(token, brand).unwrap().digest(pepper)
}

/// The id of a key; they rise with the numbers, as those of keys that were made one after the other.
pub fn id(number: u64) -> KeyId {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    let millis = i64::try_from(number / 100).unwrap();
    KeyId::new(Timestamp::from_micros(1_700_000_000_000_000 + millis * 1000), random)
}

/// The number of the profile of a key.
pub const fn profile(number: u64) -> u64 {
    number % PROFILES
}

/// The permissions of the keys of a profile.
pub fn permissions(profile: u64) -> [String; 3] {
    let service = |action| format!("service-{profile:02}.{action}");
    [service("read"), service("write"), "health".into()]
}

/// The route rules of the keys of a profile.
pub fn route_rules(profile: u64) -> [String; 2] {
    [format!("/api/v1/service-{profile:02}"), "GET,HEAD /api/v1/health".into()]
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Only what is allowed.
    Good,
    /// 80 % of that, 10 % keys that are not known, 10 % permissions that the key has not.
    Mixed,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// A server that decides.
    Decided,
    /// One that allows everything.
    AllAllowed,
    /// A proxy, which lets pass what is allowed. It is asked for [`Mix::Good`] only.
    Proxy,
}

/// The request of a key for what it may do.
pub fn request(number: u64) -> AuthorizeRequest {
    let profile = profile(number);
    AuthorizeRequest {
        key: token(number),
        environment: "production".into(),
        route: format!("/api/v1/service-{profile:02}/items/{}", number % 1000),
        method: "GET".into(),
        permission: format!("service-{profile:02}.read"),
        ..AuthorizeRequest::default()
    }
}

/// The header fields of a request of a key for what it may do, through a proxy.
pub fn fields(number: u64) -> Vec<u8> {
    let AuthorizeRequest { key, route, .. } = request(number);
    own_fields(&route, &key)
}

/// A pool of one request through a proxy, of a key that is not known, which expects that it passes.
pub fn unknown_through_proxy() -> Pool {
    let mut pool = Pool::default();
    pool.push_fields(&fields(UNKNOWN), 200);
    pool
}

/// A pool of requests, each of another key as long as there are so many, in a shuffled order.
pub fn pool(keys: u64, requests: u64, mix: Mix, answers: Answers) -> Pool {
    assert!(answers != Answers::Proxy || mix == Mix::Good, "a proxy is asked for what is allowed");
    let mut pool = Pool::default();
    // a multiplier without a common factor visits every number once, in an order that looks random
    let first = ((1 << 40 | 0x5_deec_e66d) % keys.max(2)) | 1;
    let step = (first..first + keys).find(|step| divisor(*step, keys) == 1).unwrap_or(1);
    for place in 0..requests {
        let number =
            u64::try_from(u128::from(place) * u128::from(step) % u128::from(keys)).unwrap();
        let mut asked = request(number);
        let mut expected = 200;
        match (mix, place % 10) {
            (Mix::Mixed, 3) => {
                asked.key = token(UNKNOWN + number);
                expected = 401;
            }
            (Mix::Mixed, 7) => {
                asked.permission = format!("service-{:02}.delete", profile(number));
                expected = 403;
            }
            (Mix::Good | Mix::Mixed, _) => {}
        }
        match answers {
            Answers::Decided => pool.push(&asked, expected),
            Answers::AllAllowed => pool.push(&asked, 200),
            Answers::Proxy => pool.push_fields(&own_fields(&asked.route, &asked.key), 200),
        }
    }
    pool
}

/// The greatest common divisor.
const fn divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use prost::Message;

    use super::*;

    #[test]
    fn a_token_is_well_formed_and_no_two_are_equal() {
        let brand = Brand::parse("kw").unwrap();
        let tokens: HashSet<String> = (0..1000).map(token).collect();
        assert_eq!(tokens.len(), 1000);
        assert!(tokens.iter().all(|token| PresentedKey::parse(token, &brand).is_ok()));
    }

    #[test]
    fn ids_rise_with_the_numbers() {
        assert!((0..1000).map(id).is_sorted());
    }

    #[test]
    fn a_pool_asks_every_key_once_before_it_begins_anew() {
        for keys in [1, 2, 50, 1000, 1024] {
            let pool = pool(keys, keys, Mix::Good, Answers::Decided);
            let asked = (0..usize::try_from(keys).unwrap())
                .map(|place| AuthorizeRequest::decode(pool.message(place)).unwrap().key);
            let asked: HashSet<String> = asked.collect();
            assert_eq!(asked, (0..keys).map(token).collect(), "{keys}");
        }
    }
}
