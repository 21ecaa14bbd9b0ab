//! Keys for tests: a builder with the settings of a plain good key.

use std::sync::Arc;

use ring::rand::SystemRandom;

use crate::model::{
    environment::{DomainName, EnvironmentName, EnvironmentTag},
    id::KeyId,
    label::Labels,
    secret::{Brand, Digest, Pepper, Token},
    time::{BootTime, Now, Timestamp},
    view::{KeyRow, KeyView, LastUsed, Profile},
};

/// When tests take place.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_750_000_000_250_000);

/// Both clocks, at [`NOW`].
pub(crate) const NOW_ON_BOTH_CLOCKS: Now =
    Now { wall: NOW, boot: BootTime::from_nanos(1_000_000_000_000) };

/// An instant so many microseconds after [`NOW`].
pub(crate) const fn now_plus(micros: i64) -> Timestamp {
    Timestamp::from_micros(NOW.micros() + micros)
}

/// The id of a key by a small number.
pub(crate) fn id(number: u64) -> KeyId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    KeyId::from_bytes(bytes)
}

/// A digest by a small number.
pub(crate) fn digest(number: u64) -> Digest {
    let mut bytes = [0xd1; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Digest::from_bytes(bytes)
}

pub(crate) fn brand() -> Brand {
    Brand::parse("kw").unwrap()
}

pub(crate) fn pepper() -> Pepper {
    Pepper::parse(&[7; 32]).unwrap()
}

/// A new token for production.
pub(crate) fn token() -> Token {
    let tag = EnvironmentTag::parse("prod").unwrap();
    Token::generate(&brand(), &tag, &SystemRandom::new()).unwrap()
}

/// A good key: production, default domain, may do everything everywhere, forever.
pub(crate) fn key() -> KeyBuilder {
    KeyBuilder {
        id: id(1),
        environment: "production".into(),
        domain: DomainName::DEFAULT.into(),
        grants: vec!["*".into()],
        route_rules: Vec::new(),
        profile: "default\n*".into(),
        labels: String::new(),
        active: true,
        not_before: None,
        expire: None,
        current: digest(1),
        retiring: None,
    }
}

/// Makes a [`KeyView`] as decisions see it, or the [`KeyRow`] that it comes from.
#[derive(Clone, Debug)]
pub(crate) struct KeyBuilder {
    id: KeyId,
    environment: String,
    domain: String,
    grants: Vec<String>,
    route_rules: Vec<String>,
    profile: String,
    labels: String,
    active: bool,
    not_before: Option<Timestamp>,
    expire: Option<Timestamp>,
    current: Digest,
    retiring: Option<(Digest, Timestamp)>,
}

impl KeyBuilder {
    pub(crate) fn id(self, id: KeyId) -> Self {
        Self { id, ..self }
    }

    pub(crate) fn environment(self, name: &str) -> Self {
        let environment = name.into();
        Self { environment, ..self }
    }

    pub(crate) fn of_admins(self) -> Self {
        let domain = DomainName::OF_ADMINS.into();
        Self { domain, ..self }.with_profile()
    }

    pub(crate) fn grants(self, grants: &[&str]) -> Self {
        let grants = grants.iter().copied().map(String::from).collect();
        Self { grants, ..self }.with_profile()
    }

    pub(crate) fn route_rules(self, rules: &[&str]) -> Self {
        let route_rules = rules.iter().copied().map(String::from).collect();
        Self { route_rules, ..self }.with_profile()
    }

    /// The text of a profile as the store streams it, readable or not.
    pub(crate) fn stored_profile(self, text: &str) -> Self {
        let profile = text.into();
        Self { profile, ..self }
    }

    /// The text of labels as the store streams it, readable or not.
    pub(crate) fn stored_labels(self, text: &str) -> Self {
        let labels = text.into();
        Self { labels, ..self }
    }

    pub(crate) fn inactive(self) -> Self {
        let active = false;
        Self { active, ..self }
    }

    /// Its last instant was the one before [`NOW`].
    pub(crate) fn expired(self) -> Self {
        self.expires_at(NOW)
    }

    pub(crate) fn expires_at(self, end: Timestamp) -> Self {
        let expire = Some(end);
        Self { expire, ..self }
    }

    /// Its first instant is the one after [`NOW`].
    pub(crate) fn not_yet_valid(self) -> Self {
        self.valid_from(now_plus(1))
    }

    pub(crate) fn valid_from(self, start: Timestamp) -> Self {
        let not_before = Some(start);
        Self { not_before, ..self }
    }

    pub(crate) fn current(self, current: Digest) -> Self {
        Self { current, ..self }
    }

    pub(crate) fn retiring(self, digest: Digest, end: Timestamp) -> Self {
        let retiring = Some((digest, end));
        Self { retiring, ..self }
    }

    pub(crate) fn build(&self) -> KeyView {
        let pairs = self.labels.lines().filter_map(|line| line.split_once('='));
        KeyView {
            id: self.id,
            environment: EnvironmentName::from_stored(&self.environment),
            profile: Arc::new(Profile::parse(&self.profile).unwrap()),
            labels: Arc::new(Labels::parse(pairs).unwrap()),
            active: self.active,
            not_before: self.not_before.unwrap_or(Timestamp::DISTANT_PAST),
            expire: self.expire.unwrap_or(Timestamp::DISTANT_FUTURE),
            current: self.current,
            retiring: self.retiring.map(Box::new),
            last_used: LastUsed::default(),
        }
    }

    pub(crate) fn row(&self) -> KeyRow<'_> {
        KeyRow {
            id: self.id,
            environment: &self.environment,
            profile: &self.profile,
            labels: &self.labels,
            active: self.active,
            not_before: self.not_before,
            expire: self.expire,
            current: self.current,
            retiring: self.retiring,
        }
    }

    fn with_profile(mut self) -> Self {
        self.profile = format!("{}\n{}", self.domain, self.grants.join(" "));
        for rule in &self.route_rules {
            self.profile.push('\n');
            self.profile.push_str(rule);
        }
        self
    }
}
