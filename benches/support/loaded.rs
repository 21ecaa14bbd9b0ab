//! A replica in this process, filled with keys whose tokens can be made again from their numbers.

#[path = "../../examples/keyward-bench/tokens.rs"]
mod tokens;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use keyward::{
    authorize::{Explain, Hot, Record, Terms},
    decide::{Access, Ask, Plane, Question},
    limiter::{
        Charge, Limiter, Sharing,
        failures::{FailureLimit, Failures, Source},
    },
    model::{
        id::KeyId,
        pepper::Peppers,
        permission::Permission,
        secret::{Brand, Pepper, PresentedKey},
        shared::DomainRow,
        time::{BootTime, Now},
        view::KeyRow,
    },
    replica::{Applier, Replica},
};
use tokens::token;

/// Sets of permissions and route rules that keys share.
pub const PROFILES: usize = 50;

/// A replica with keys, and what decides by it.
pub struct Loaded {
    pub hot: Hot,
    pub tokens: Vec<String>,
    pub applier: Mutex<Applier>,
    limited: bool,
}

impl Loaded {
    /// With so many keys, each with a rate limit of its own or without. Made once.
    pub fn with(keys: usize, limited: bool) -> &'static Self {
        static MADE: OnceLock<Mutex<HashMap<(usize, bool), &'static Loaded>>> = OnceLock::new();
        let mut made = MADE.get_or_init(Mutex::default).lock().unwrap();
        made.entry((keys, limited)).or_insert_with(|| Box::leak(Box::new(Self::new(keys, limited))))
    }

    fn new(keys: usize, limited: bool) -> Self {
        let (replica, mut applier) = Replica::new(Duration::MAX);
        let domain = DomainRow { name: "default", enabled: true, route_map: "", limits: "" };
        applier.put_domain(&domain).unwrap();
        let failures = FailureLimit::new(60, Duration::from_secs(60)).unwrap();
        let loaded = Self {
            hot: Hot {
                replica,
                ledger: Arc::default(),
                peppers: Arc::new(Peppers::single(
                    Pepper::parse(b"a pepper for benches, of 32 bytes").unwrap(),
                )),
                upgrades: Arc::default(),
                brand: Brand::parse("kw").unwrap(),
                limiter: Arc::new(Limiter::new(
                    Sharing::Local,
                    Failures::new(Some(failures), None),
                    1,
                )),
            },
            tokens: (0..keys).map(|number| token(u64::try_from(number).unwrap())).collect(),
            applier: Mutex::new(applier),
            limited,
        };
        for number in 0..keys {
            loaded.put(number, true);
        }
        loaded.applier.lock().unwrap().reached(1, Some(BootTime::from_nanos(1)));
        loaded
    }

    /// Puts a key in, or changes it.
    pub fn put(&self, number: usize, active: bool) {
        let presented = PresentedKey::parse(&self.tokens[number], &self.hot.brand).unwrap();
        let mut id = [0x5a; 16];
        let mixed = u64::try_from(number).unwrap().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        id[8..].copy_from_slice(&mixed.to_be_bytes());
        let profile = profile(number % PROFILES, self.limited);
        let row = KeyRow {
            id: KeyId::from_bytes(id),
            profile: &profile,
            labels: "",
            active,
            not_before: None,
            expire: None,
            current: presented.digest(self.hot.peppers.current()),
            retiring: None,
            peppers: [None; 2],
        };
        self.applier.lock().unwrap().put(&row).unwrap();
    }
}

/// What keys have in common, as the store tells it.
pub fn profile(number: usize, limited: bool) -> String {
    let limits = if limited { "smooth:rate:1000000:1000000:1000000" } else { "" };
    format!(
        "production\ndefault\nsystems.read zones group-{number}.read\n\n\n\n\n\n\n\n{limits}\n\
         GET,POST /api/systems\n/api/zones/{number}"
    )
}

/// The question that every key is asked here.
pub fn question() -> Question<'static> {
    let access = Access {
        customer: "",
        route: "/api/systems/7",
        method: "GET",
        permission: Some(Permission::parse("systems.read").unwrap()),
    };
    let client = Some(IpAddr::from([192, 0, 2, 7]));
    Question { plane: Plane::Data("production"), client, ask: Ask::Access(access) }
}

/// Terms as the service has them.
pub fn terms(question: &Question<'_>, now: Now) -> Terms {
    Terms {
        now,
        revision_min: 0,
        record: Record::Use,
        explain: Explain::No,
        source: question.client.map(Source::Client),
        charge: Charge::ONE,
    }
}
