//! Requests as proxies tell of them: where the key is, what is asked, and what becomes of the request.
//! Envoy and forward auth differ only in how they say this.

pub mod cleaning;
pub mod client;
pub mod context;
pub mod credential;
pub mod identity;
pub mod rate_limit;
pub mod refusal;

use std::{fmt, net::IpAddr};

use smallvec::SmallVec;

use crate::{
    decide::{Access, Ask, Plane, Question},
    model::{key_source::KeySources, name::EnvironmentName, secret::Presented},
    proxy::{
        context::{Asking, Context, Misconfigured},
        credential::Credential,
    },
};

/// What stands for a path that is not text: no rule and no route map can read it.
const UNREADABLE: &str = "\u{fffd}";

/// A header field: its name, and its value without white space around it.
pub type Field<'a> = (&'a [u8], &'a [u8]);

/// A request that came to a proxy.
#[derive(Default)]
pub struct Inquiry<'a> {
    /// The method.
    pub method: &'a str,
    /// The path and query, as it came.
    pub target: &'a [u8],
    /// The header fields in their order.
    pub fields: SmallVec<[Field<'a>; 32]>,
    /// The other end of the proxy's connection, as the proxy says.
    pub peer: Option<IpAddr>,
}

/// How requests through proxies are read and answered.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where keys may be.
    pub sources: KeySources,
    /// The environment of requests whose route names none.
    pub environment: Option<EnvironmentName>,
    /// The header field that names the customer if the route does not, in lower case.
    pub customer_field: Option<Box<str>>,
    /// How many proxies stand in front of the one that asks.
    pub trusted_hops: u8,
    /// Whether to deny what cannot be known.
    pub deny_when_unavailable: bool,
    /// Whether a 401 says why.
    pub detailed_401: bool,
    /// What `WWW-Authenticate` is on a 401.
    pub www_authenticate: Option<Box<str>>,
}

/// What is to be decided about a request.
#[derive(Debug)]
pub struct Reading<'a> {
    /// The key.
    pub credential: Credential<'a>,
    /// What the route's configuration says.
    pub context: Context<'a>,
    /// The environment.
    pub environment: &'a str,
    /// The customer; empty for none.
    pub customer: &'a str,
    /// The path.
    pub route: &'a str,
    /// The method.
    pub method: &'a str,
    /// Where the client is.
    pub client: Option<IpAddr>,
}

/// Without the fields, which may hold keys and other secrets.
impl fmt::Debug for Inquiry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inquiry").field("method", &self.method).finish_non_exhaustive()
    }
}

impl<'a> Inquiry<'a> {
    /// The values of a header field, one after the other.
    pub fn values<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'b> {
        let named = move |(given, _): &&Field<'a>| given.eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().filter(named).map(|(_, value)| *value)
    }

    /// The path without the query.
    fn path(&self) -> &'a str {
        let path = self.target.split(|byte| *byte == b'?').next().unwrap_or_default();
        str::from_utf8(path).unwrap_or(UNREADABLE)
    }

    /// What follows the first `?`.
    fn query(&self) -> &'a [u8] {
        let start = self.target.iter().position(|byte| *byte == b'?');
        start.and_then(|start| self.target.get(start + 1..)).unwrap_or_default()
    }

    /// Whether the client speaks gRPC.
    pub fn is_grpc(&self) -> bool {
        let begins = |value: &[u8]| {
            let head = value.get(..16).unwrap_or_default();
            let end = value.get(16).copied();
            head.eq_ignore_ascii_case(b"application/grpc")
                && matches!(end, None | Some(b'+' | b';' | b' '))
        };
        self.values("content-type").any(begins)
    }

    /// Reads what is to be decided, by the settings and what the proxy's configuration says of the route.
    pub fn read(
        &self,
        settings: &'a Settings,
        context: Context<'a>,
        environment: Option<&'a str>,
    ) -> Result<Reading<'a>, Misconfigured> {
        let configured = settings.environment.as_ref().map(EnvironmentName::as_str);
        let environment = context.environment.or(environment).or(configured);
        let environment = environment.ok_or_else(Misconfigured::no_environment)?;
        Ok(Reading {
            credential: Credential::find(&settings.sources, self),
            environment,
            customer: self.customer(settings, &context),
            route: context.route.unwrap_or_else(|| self.path()),
            method: self.method,
            client: client::address(self, settings.trusted_hops),
            context,
        })
    }

    /// Several customers are none: a key that has some is then denied.
    fn customer(&self, settings: &'a Settings, context: &Context<'a>) -> &'a str {
        if let Some(customer) = context.customer {
            return customer;
        }
        let Some(name) = &settings.customer_field else { return "" };
        let mut values = self.values(name).filter(|value| !value.is_empty());
        match (values.next(), values.next()) {
            (Some(only), None) => str::from_utf8(only).unwrap_or(UNREADABLE),
            (None, _) => "",
            (Some(_), Some(_)) => UNREADABLE,
        }
    }
}

impl Reading<'_> {
    /// The customer, if it is one that can be named upstream.
    pub fn trusted_customer(&self) -> Option<&str> {
        Some(self.customer).filter(|customer| !matches!(*customer, "" | UNREADABLE))
    }

    /// The key, as decisions take it.
    pub fn presented(&self) -> Presented<'_> {
        match &self.credential {
            Credential::Missing => Presented::Text(""),
            Credential::One(text) => Presented::Text(text),
            Credential::Several => Presented::Several,
        }
    }

    /// What is asked.
    pub fn question(&self) -> Question<'_> {
        let ask = match self.context.asking {
            Asking::Charge | Asking::CheckOnly => Ask::Access(Access {
                customer: self.customer,
                route: self.route,
                method: self.method,
                permission: self.context.permission,
            }),
            Asking::AuthenticateOnly => Ask::Authentication,
        };
        Question { plane: Plane::Data(self.environment), client: self.client, ask }
    }
}

#[cfg(test)]
mod tests;
