//! What operators see: metrics, and what is made of them.

mod files;
mod levels;
mod metrics;
mod otlp;

use std::{collections::BTreeMap, net::SocketAddr};

use crate::support::{
    eventually,
    http1::{ask, get},
};

/// All values that a server shows, by their names with labels.
pub(crate) struct Shown(pub(crate) BTreeMap<String, f64>);

impl Shown {
    /// Asks a server.
    pub(crate) async fn by(at: SocketAddr) -> Self {
        let answer = ask(at, &get("/metrics", "")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let text = String::from_utf8(answer.body).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let values = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        });
        Self(values.collect())
    }

    /// The same, once the server has counted in the database.
    pub(crate) async fn when_counted(at: SocketAddr) -> Self {
        eventually("the server has counted", async || {
            let shown = Self::by(at).await;
            shown.0.contains_key("keyward_keys_expired").then_some(shown)
        })
        .await
    }

    /// A value; panics if it is not there.
    pub(crate) fn value(&self, name: &str) -> f64 {
        *self.0.get(name).unwrap_or_else(|| panic!("no {name} in {:#?}", self.0))
    }

    /// The names of all metrics, with what the values of histograms are called by.
    pub(crate) fn names(&self) -> std::collections::BTreeSet<String> {
        self.0.keys().map(|name| name.split('{').next().unwrap().to_owned()).collect()
    }
}
