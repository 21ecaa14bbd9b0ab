//! What a key may be given when it is made, and later.

use clap::Args;
use prost_types::Timestamp;

use super::limits::{concurrency, quota, rate};
use crate::{
    cli::read::{instant, label, labels},
    rpc::pb::{Delegation, Key, Limit},
};

/// Settings of a key. The names of these are those of its fields.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Settings of the key; lists are replaced as a whole")]
pub struct SettingsArgs {
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,

    /// What it may do, such as systems.read; may be given several times
    #[arg(long = "permission", short, value_name = "PERMISSION", value_delimiter = ',')]
    pub permissions: Vec<String>,

    /// A permission group that it has; may be given several times
    #[arg(long = "group", short, value_name = "NAME", value_delimiter = ',')]
    pub groups: Vec<String>,

    /// The user whom it acts for
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,

    /// Where it may do that, such as '/api/v2' or 'GET,HEAD /api/v2'; may be given several times
    #[arg(long = "route", value_name = "RULE")]
    pub route_rules: Vec<String>,

    /// A customer that it may act for; may be given several times
    #[arg(long = "customer", value_name = "ID")]
    pub customers: Vec<String>,

    /// Where it may be used from, such as 192.0.2.0/24; may be given several times
    #[arg(long = "allow-from", value_name = "NETWORK", value_delimiter = ',')]
    pub allowed_addresses: Vec<String>,

    /// Where it may not be used from; may be given several times
    #[arg(long = "deny-from", value_name = "NETWORK", value_delimiter = ',')]
    pub denied_addresses: Vec<String>,

    /// From when on it works: a date, or a time from now such as 12h
    #[arg(long = "not-before", value_name = "TIME", value_parser = instant)]
    pub not_before_time: Option<Timestamp>,

    /// Until when it works: a date, or a time from now such as 90d
    #[arg(long = "expires", short = 'x', value_name = "TIME", value_parser = instant)]
    pub expire_time: Option<Timestamp>,

    /// A name and value of your own; may be given several times
    #[arg(long = "label", short, value_name = "NAME=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,

    /// How often it may be used, such as api=100/1m, with a burst api=100/1m+20; may be given several times
    #[arg(long = "rate", value_name = "NAME=NUMBER/TIME", value_parser = rate)]
    pub rates: Vec<Limit>,

    /// How much it may be used in a period, such as calls=10000/month; may be given several times
    #[arg(long = "quota", value_name = "NAME=NUMBER/PERIOD", value_parser = quota)]
    pub quotas: Vec<Limit>,

    /// How often at a time, such as exports=5; may be given several times
    #[arg(long = "concurrency", value_name = "NAME=NUMBER", value_parser = concurrency)]
    pub slots: Vec<Limit>,

    /// The admin key that alone may change it
    #[arg(long, value_name = "ID")]
    pub managed_by: Option<String>,

    /// Whether its holder may give it a new token
    #[arg(long = "self-regenerate", value_name = "YES", num_args = 0..=1, default_missing_value = "true")]
    pub allow_self_regenerate: Option<bool>,

    /// Binds an admin key to this domain; may be given several times
    #[arg(long = "delegate", value_name = "DOMAIN")]
    pub delegated: Vec<String>,

    /// What keys may do at most that such an admin key makes; may be given several times
    #[arg(long = "ceiling", value_name = "PERMISSION", requires = "delegated")]
    pub ceiling: Vec<String>,
}

impl SettingsArgs {
    /// A key with these settings and no others.
    pub(super) fn key(&self) -> Key {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Key {
            description: text(&self.description),
            permissions: self.permissions.clone(),
            groups: self.groups.clone(),
            user: text(&self.user),
            route_rules: self.route_rules.clone(),
            customers: self.customers.clone(),
            allowed_addresses: self.allowed_addresses.clone(),
            denied_addresses: self.denied_addresses.clone(),
            not_before_time: self.not_before_time,
            expire_time: self.expire_time,
            labels: labels(&self.labels),
            limits: self.limits(),
            managed_by: text(&self.managed_by),
            allow_self_regenerate: self.allow_self_regenerate.unwrap_or_default(),
            delegation: self.delegation(),
            ..Key::default()
        }
    }

    /// Which fields of a key were given.
    pub(super) fn given(&self) -> Vec<&'static str> {
        let fields = [
            ("description", self.description.is_some()),
            ("permissions", !self.permissions.is_empty()),
            ("groups", !self.groups.is_empty()),
            ("user", self.user.is_some()),
            ("route_rules", !self.route_rules.is_empty()),
            ("customers", !self.customers.is_empty()),
            ("allowed_addresses", !self.allowed_addresses.is_empty()),
            ("denied_addresses", !self.denied_addresses.is_empty()),
            ("not_before_time", self.not_before_time.is_some()),
            ("expire_time", self.expire_time.is_some()),
            ("labels", !self.labels.is_empty()),
            ("limits", !self.limits().is_empty()),
            ("managed_by", self.managed_by.is_some()),
            ("allow_self_regenerate", self.allow_self_regenerate.is_some()),
            ("delegation", !self.delegated.is_empty()),
        ];
        fields.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect()
    }

    fn limits(&self) -> Vec<Limit> {
        [&self.rates, &self.quotas, &self.slots].into_iter().flatten().cloned().collect()
    }

    fn delegation(&self) -> Option<Delegation> {
        (!self.delegated.is_empty())
            .then(|| Delegation { domains: self.delegated.clone(), ceiling: self.ceiling.clone() })
    }
}
