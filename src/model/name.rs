//! Names that operators give: of environments, domains, groups, templates and limits.

use std::{fmt, sync::Arc};

use thiserror::Error;

const NAME_BYTES_MAX: usize = 63;

/// A text that cannot name anything.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("must be 1 to 63 characters of a-z, 0-9 and -, beginning with a letter")]
pub struct InvalidName;

fn parse(text: &str) -> Result<Arc<str>, InvalidName> {
    let begins_well = text.starts_with(|first: char| first.is_ascii_lowercase());
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if begins_well && text.len() <= NAME_BYTES_MAX && text.bytes().all(word) {
        Ok(Arc::from(text))
    } else {
        Err(InvalidName)
    }
}

macro_rules! names {
    ($($(#[$meta:meta])* $name:ident;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the form of a name; whether there is such a thing is for the store to say.
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                parse(text).map(Self)
            }

            /// From stored text.
            pub fn from_stored(text: &str) -> Self {
                Self(text.into())
            }

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

names! {
    /// The name of an environment, e.g. `production`. A key works in exactly one.
    EnvironmentName;
    /// The name of a domain: the tenant that a key belongs to.
    DomainName;
    /// The name of a permission group in its domain.
    GroupName;
    /// The name of a template.
    TemplateName;
    /// The name of a limit of a key, user, customer or domain.
    LimitName;
}

impl EnvironmentName {
    /// The environment of admin keys.
    pub const OF_ADMINS: &'static str = "production";
}

impl DomainName {
    /// The domain of keys for which none is named.
    pub const DEFAULT: &'static str = "default";
    /// The domain of admin keys.
    pub const OF_ADMINS: &'static str = "keyward";

    /// Whether keys of this domain are admin keys: they open the admin services and nothing else.
    pub fn is_of_admins(&self) -> bool {
        &*self.0 == Self::OF_ADMINS
    }
}
