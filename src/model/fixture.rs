//! Keys for tests: a builder with the settings of a plain good key.

use std::sync::Arc;

use ring::rand::SystemRandom;

use crate::model::{
    address::{AddressDetail, PackedAddress},
    environment::EnvironmentTag,
    id::KeyId,
    label::Labels,
    meter::{Metered, Owner},
    name::DomainName,
    permission::Grants,
    reservation::Tag,
    route_map::RouteMap,
    secret::{Brand, Digest, Pepper, Token},
    shared::{Cell, DomainFacts, DomainView, GroupFacts, GroupView, UserFacts, UserView},
    time::{BootTime, Now, Timestamp},
    user::UserKind,
    view::{KeyRow, KeyView, LastUsed, Profile, StoredProfile},
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

/// An address as it is noted; none of an empty text.
pub(crate) fn packed(text: &str) -> PackedAddress {
    let address = (!text.is_empty()).then(|| text.parse().unwrap());
    PackedAddress::new(address, AddressDetail::Whole)
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
        domain_enabled: true,
        route_map: Vec::new(),
        user: None,
        grants: vec!["*".into()],
        groups: Vec::new(),
        numbers: Default::default(),
        route_rules: Vec::new(),
        allowed: Vec::new(),
        denied: Vec::new(),
        customers: Vec::new(),
        limits: Vec::new(),
        profile: String::new(),
        labels: String::new(),
        active: true,
        not_before: None,
        expire: None,
        current: digest(1),
        retiring: None,
        peppers: [None; 2],
    }
    .with_profile()
}

/// A group that gives this.
pub(crate) fn group(name: &str, grants: &[&str]) -> Arc<GroupView> {
    let grants = Grants::parse(grants).unwrap();
    Arc::new(GroupView { facts: Cell::new(GroupFacts { name: name.into(), grants }) })
}

/// A user that may do this, itself and by a group.
pub(crate) fn user(grants: &[&str], by_group: &[&str]) -> UserFacts {
    UserFacts {
        id: "alice".into(),
        kind: UserKind::Person,
        enabled: true,
        grants: Grants::parse(grants).unwrap(),
        groups: match by_group {
            [] => Box::default(),
            grants => Box::new([group("staff", grants)]),
        },
        limits: None,
    }
}

/// Makes a [`KeyView`] as decisions see it, or the [`KeyRow`] that it comes from.
#[derive(Clone, Debug)]
pub(crate) struct KeyBuilder {
    id: KeyId,
    environment: String,
    domain: String,
    domain_enabled: bool,
    route_map: Vec<String>,
    user: Option<Arc<UserView>>,
    grants: Vec<String>,
    groups: Vec<Arc<GroupView>>,
    numbers: [String; 2],
    route_rules: Vec<String>,
    allowed: Vec<String>,
    denied: Vec<String>,
    customers: Vec<String>,
    limits: Vec<String>,
    profile: String,
    labels: String,
    active: bool,
    not_before: Option<Timestamp>,
    expire: Option<Timestamp>,
    current: Digest,
    retiring: Option<(Digest, Timestamp)>,
    peppers: [Option<&'static str>; 2],
}

impl KeyBuilder {
    pub(crate) fn id(self, id: KeyId) -> Self {
        Self { id, ..self }
    }

    pub(crate) fn environment(self, name: &str) -> Self {
        let environment = name.into();
        Self { environment, ..self }.with_profile()
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

    /// Only for the view: rows name users and groups by number.
    pub(crate) fn user(self, facts: UserFacts) -> Self {
        let user = Some(Arc::new(UserView { facts: Cell::new(facts) }));
        Self { user, ..self }
    }

    /// Only for the view.
    pub(crate) fn group(mut self, group: Arc<GroupView>) -> Self {
        self.groups.push(group);
        self
    }

    /// The numbers of its user and its groups as the store streams them; only for the row.
    pub(crate) fn numbers(self, user: &str, groups: &str) -> Self {
        let numbers = [user.into(), groups.into()];
        Self { numbers, ..self }.with_profile()
    }

    /// Only for the view.
    pub(crate) fn of_disabled_domain(self) -> Self {
        Self { domain_enabled: false, ..self }
    }

    /// Only for the view.
    pub(crate) fn route_map(self, lines: &[&str]) -> Self {
        let route_map = lines.iter().copied().map(String::from).collect();
        Self { route_map, ..self }
    }

    pub(crate) fn customers(self, customers: &[&str]) -> Self {
        let customers = customers.iter().copied().map(String::from).collect();
        Self { customers, ..self }.with_profile()
    }

    /// Limits in their stored form.
    pub(crate) fn limits(self, limits: &[&str]) -> Self {
        let limits = limits.iter().copied().map(String::from).collect();
        Self { limits, ..self }.with_profile()
    }

    pub(crate) fn allowed(self, networks: &[&str]) -> Self {
        let allowed = networks.iter().copied().map(String::from).collect();
        Self { allowed, ..self }.with_profile()
    }

    pub(crate) fn denied(self, networks: &[&str]) -> Self {
        let denied = networks.iter().copied().map(String::from).collect();
        Self { denied, ..self }.with_profile()
    }

    /// The text of a profile as the store streams it, readable or not.
    pub(crate) fn stored_profile(self, text: &str) -> Self {
        let profile = format!("{}\n{text}", self.environment);
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

    pub(crate) fn peppers(self, peppers: [Option<&'static str>; 2]) -> Self {
        Self { peppers, ..self }
    }

    /// The key as its current secret opens it, and as the one does that was replaced.
    pub(crate) fn views(&self) -> Vec<KeyView> {
        let current = self.build();
        let old = self.retiring.map(|(digest, secret_end)| {
            let last_used = current.last_used.clone();
            KeyView { digest, secret_end, last_used, ..self.build() }
        });
        std::iter::once(current).chain(old).collect()
    }

    /// The key as its current secret opens it.
    pub(crate) fn build(&self) -> KeyView {
        let pairs = self.labels.lines().filter_map(|line| line.split_once('='));
        let profile = self.profile();
        let place = (Owner::Key(self.id), Tag::of(&profile.domain.name));
        let limits = (!profile.limits.is_empty())
            .then(|| Metered::new(place, profile.limits.clone(), None, NOW_ON_BOTH_CLOCKS.boot));
        KeyView {
            digest: self.current,
            secret_end: Timestamp::DISTANT_FUTURE,
            id: self.id,
            profile: Arc::new(profile),
            labels: Arc::new(Labels::parse(pairs).unwrap()),
            active: self.active,
            not_before: self.not_before.unwrap_or(Timestamp::DISTANT_PAST),
            expire: self.expire.unwrap_or(Timestamp::DISTANT_FUTURE),
            last_used: LastUsed::default(),
            limits,
        }
    }

    fn profile(&self) -> Profile {
        let stored = StoredProfile::parse(&self.profile).unwrap();
        let route_map = RouteMap::parse(&self.route_map).unwrap();
        let facts = DomainFacts { enabled: self.domain_enabled, route_map, limits: None };
        Profile {
            environment: stored.environment,
            domain: Arc::new(DomainView { name: stored.domain, facts: Cell::new(facts) }),
            user: self.user.clone(),
            grants: stored.grants,
            groups: self.groups.clone().into(),
            route_rules: stored.route_rules,
            addresses: stored.addresses,
            customers: stored.customers,
            delegation: stored.delegation,
            limits: stored.limits,
        }
    }

    pub(crate) fn row(&self) -> KeyRow<'_> {
        KeyRow {
            id: self.id,
            profile: &self.profile,
            labels: &self.labels,
            active: self.active,
            not_before: self.not_before,
            expire: self.expire,
            current: self.current,
            retiring: self.retiring,
            peppers: self.peppers,
        }
    }

    fn with_profile(mut self) -> Self {
        let lines = [
            self.environment.clone(),
            self.domain.clone(),
            self.grants.join(" "),
            self.numbers[0].clone(),
            self.numbers[1].clone(),
            self.allowed.join(" "),
            self.denied.join(" "),
            self.customers.join(" "),
            String::new(),
            String::new(),
            self.limits.join(" "),
            self.route_rules.join("\n"),
        ];
        self.profile = lines.join("\n");
        self
    }
}
