//! What the upstream is told of who asks: header fields that it may trust, since a client's own never get
//! through.

use std::fmt::Write;

use crate::{authorize::Outcome, proxy::Reading};

/// The fields that this service sets. Any other that begins as these do is taken away.
pub const IDENTITY_FIELDS: [&str; 6] = [
    "x-keyward-key-id",
    "x-keyward-domain",
    "x-keyward-environment",
    "x-keyward-decision-id",
    "x-keyward-user",
    "x-keyward-customer",
];
/// The same as a program may spell them that takes `_` for `-`, as CGI does.
pub const IDENTITY_FIELDS_WITH_UNDERSCORES: [&str; 6] = [
    "x_keyward_key_id",
    "x_keyward_domain",
    "x_keyward_environment",
    "x_keyward_decision_id",
    "x_keyward_user",
    "x_keyward_customer",
];
const VALUE_BYTES_MAX: usize = 256;

/// A field and its value.
pub type Identity = Vec<(&'static str, String)>;

/// What is told of a request that was allowed.
pub fn identity(outcome: &Outcome, reading: &Reading<'_>, decision_id: &str) -> Identity {
    let [key_id, domain, environment, decision, user, customer] = IDENTITY_FIELDS;
    let Some(key) = &outcome.key else { return Vec::new() };
    let mut fields = vec![
        (key_id, key.id.to_string()),
        (domain, key.profile.domain.name.to_string()),
        (environment, key.profile.environment.to_string()),
        (decision, decision_id.to_owned()),
    ];
    if let Some(view) = &key.profile.user {
        fields.push((user, view.facts.of_latest(|facts| escaped(&facts.id))));
    }
    if let Some(named) = reading.trusted_customer() {
        fields.push((customer, escaped(named)));
    }
    fields
}

/// A value of visible ASCII, in which other bytes and `%` are escaped; cut off at [`VALUE_BYTES_MAX`].
fn escaped(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            value.push(byte.into());
        } else {
            // a string takes whatever is written
            write!(value, "%{byte:02X}").unwrap_or_default();
        }
    }
    value.truncate(VALUE_BYTES_MAX);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_of_the_same_fields() {
        let with_underscores = IDENTITY_FIELDS.map(|name| name.replace('-', "_"));
        assert_eq!(with_underscores, IDENTITY_FIELDS_WITH_UNDERSCORES);
    }

    #[test]
    fn values_are_visible_ascii_of_a_bounded_length() {
        assert_eq!(escaped("acme-1_2.3~a@b:c"), "acme-1_2.3~a@b:c");
        assert_eq!(escaped("a b\r\nx: y%"), "a%20b%0D%0Ax:%20y%25");
        assert_eq!(escaped("ü"), "%C3%BC");
        assert_eq!(escaped(&"ü".repeat(200)).len(), VALUE_BYTES_MAX);
    }
}
