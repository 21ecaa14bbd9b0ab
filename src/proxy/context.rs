//! What the proxy's configuration says of a route. Nothing of it comes from the client, so that a mistake
//! is the operator's.

use thiserror::Error;

use crate::model::{
    customer::CustomerId, name::EnvironmentName, permission::Permission, route::Path,
};

const COST_MAX: u32 = 1_000_000_000;
/// Envoy adds the name of the virtual host by itself.
const OF_ENVOY: &str = "virtual_host";

/// What is asked, as far as the route's configuration says.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The environment.
    pub environment: Option<&'a str>,
    /// The permission. None: the route map says.
    pub permission: Option<Permission<'a>>,
    /// The route. None: the path of the request.
    pub route: Option<&'a str>,
    /// The customer.
    pub customer: Option<&'a str>,
    /// What the request costs.
    pub cost: u32,
    /// How much is asked.
    pub asking: Asking,
}

/// How much is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// Everything; limits are charged and the use is noted.
    Charge,
    /// Everything; nothing is charged or noted.
    CheckOnly,
    /// Only whether the key is good here.
    AuthenticateOnly,
}

/// The proxy's configuration says something that cannot be followed.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the proxy's configuration of the route: {name}: {message}")]
pub struct Misconfigured {
    /// What it sets.
    pub name: String,
    /// What is wrong with it.
    pub message: String,
}

impl Misconfigured {
    fn new(name: &str, message: impl Into<String>) -> Self {
        Self { name: name.into(), message: message.into() }
    }

    /// Nothing says for which environment a request is.
    pub(super) fn no_environment() -> Self {
        Self::new("environment", "is not set, and neither is --proxy-environment")
    }

    /// The environment that a proxy's listener is for is none.
    pub fn environment(message: &impl ToString) -> Self {
        Self::new("environment", message.to_string())
    }

    /// The proxy tells more than can be read.
    pub fn too_large(bytes_max: usize) -> Self {
        let message = format!("is larger than {bytes_max} bytes: show less of it, and no bodies");
        Self::new("the request that it shows", message)
    }

    /// The proxy does not tell what it was asked, or twice.
    pub fn untold(name: &str) -> Self {
        Self::new(name, "must be sent by the proxy, once")
    }
}

impl Asking {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "charge" => Some(Self::Charge),
            "check_only" => Some(Self::CheckOnly),
            "authenticate_only" => Some(Self::AuthenticateOnly),
            _ => None,
        }
    }
}

fn cost_in(text: &str) -> Option<u32> {
    // a number may have a sign, a cost may not
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|cost| digits && *cost <= COST_MAX)
}

impl<'a> Context<'a> {
    /// Nothing is said.
    const NONE: Self = Self {
        environment: None,
        permission: None,
        route: None,
        customer: None,
        cost: 1,
        asking: Asking::Charge,
    };

    /// Reads settings by their names. With several of one name, each is checked and the last counts.
    pub fn parse(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Misconfigured> {
        let mut context = Self::NONE;
        let mut access = None;
        for (name, value) in pairs {
            if name == OF_ENVOY {
                continue;
            }
            context.set(name, value).map_err(|message| Misconfigured::new(name, message))?;
            if !matches!(name, "environment" | "mode") {
                access = Some(name);
            }
        }
        match (context.asking, access) {
            (Asking::AuthenticateOnly, Some(name)) => {
                Err(Misconfigured::new(name, "is not looked at with mode authenticate_only"))
            }
            _ => Ok(context),
        }
    }

    fn set(&mut self, name: &str, value: &'a str) -> Result<(), String> {
        match name {
            "environment" => {
                EnvironmentName::parse(value).map_err(|invalid| invalid.to_string())?;
                self.environment = Some(value);
            }
            "permission" => {
                let permission = Permission::parse(value);
                self.permission = Some(permission.map_err(|invalid| invalid.to_string())?);
            }
            "route" => {
                Path::parse(value).map_err(|invalid| invalid.to_string())?;
                self.route = Some(value);
            }
            "customer" => {
                CustomerId::parse(value).map_err(|invalid| invalid.to_string())?;
                self.customer = Some(value);
            }
            "cost" => {
                self.cost = cost_in(value).ok_or_else(|| format!("must be 0 to {COST_MAX}"))?;
            }
            "mode" => {
                let asking = Asking::parse(value);
                let known = "must be charge, check_only or authenticate_only";
                self.asking = asking.ok_or_else(|| known.to_owned())?;
            }
            _ => {
                let known = "environment, permission, route, customer, cost and mode";
                return Err(format!("is not known; there are {known}"));
            }
        }
        Ok(())
    }
}
