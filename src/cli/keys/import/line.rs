//! A line of a file, as the message of an item has it. Lines of an export know more of a key than an import can
//! make: what would be lost of it must not be a restriction.

use base64::{Engine, engine::general_purpose::STANDARD};
use prost_reflect::{FieldDescriptor, MessageDescriptor};
use serde_json::{Map, Value};

use crate::{
    cli::{error::CliError, output::messages::descriptor, read::instant},
    rpc::pb::{ImportKeyItem, Key},
};

const SHA256_HEX_CHARS: usize = 64;
/// What takes something from a key, or says that it has ended, and what an import cannot make.
const NARROWING: [&str; 9] = [
    "allowed_addresses",
    "customers",
    "delegation",
    "delete_time",
    "deleted_groups",
    "denied_addresses",
    "managed_by",
    "revocation",
    "route_rules",
];
const ACTIVE: &str = "KEY_STATE_ACTIVE";

/// Where the new keys will be, all of them.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The name of their domain.
    pub(super) domain: String,
    /// The name of their environment.
    pub(super) environment: String,
}

/// Takes out what is only told of a key that is there, and writes digests and times as the message has them.
/// A line that says of a key what would be lost, and is more than a note, is refused.
pub(super) fn tidy(object: &mut Map<String, Value>, place: &Place) -> Result<(), String> {
    let name_of = |error: CliError| error.to_string();
    let (key, item) =
        (descriptor::<Key>().map_err(name_of)?, descriptor::<ImportKeyItem>().map_err(name_of)?);
    for (name, value) in &*object {
        if let Some(field) = field(&key, name).filter(|_| field(&item, name).is_none()) {
            check(field.name(), value, place).map_err(|problem| format!("{name}: {problem}"))?;
        }
    }
    object.retain(|name, _| field(&key, name).is_none() || field(&item, name).is_some());
    // the hint of a token is made from it
    if object.contains_key("token") {
        object.remove("hint");
    }
    if let Some(Value::String(text)) = object.get_mut("sha256")
        && text.len() == SHA256_HEX_CHARS
    {
        *text = base64_of_hex(text).ok_or("sha256: is neither hexadecimal nor base64")?;
    }
    for name in ["notBeforeTime", "not_before_time", "expireTime", "expire_time"] {
        if let Some(Value::String(text)) = object.get_mut(name) {
            let time = instant(text).map_err(|problem| format!("{name}: {problem}"))?;
            *text = time.to_string();
        }
    }
    Ok(())
}

/// A field by one of its two names.
fn field(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    message.get_field_by_name(name).or_else(|| message.get_field_by_json_name(name))
}

/// Whether a field that is left out says nothing that would be lost. What stands there is not told: anything may.
fn check(name: &str, value: &Value, place: &Place) -> Result<(), String> {
    let all_are_in = |name: &str, flag: &str| {
        Err(format!("is another one than {name:?}, which all new keys get; see {flag}"))
    };
    match name {
        "domain" if *value != place.domain => all_are_in(&place.domain, "--domain"),
        "environment" if *value != place.environment => {
            all_are_in(&place.environment, "--environment")
        }
        "state" if *value != ACTIVE => {
            Err(format!("is not {ACTIVE}, and an import makes active keys; leave this key out"))
        }
        _ if NARROWING.contains(&name) && !is_nothing(value) => {
            Err("would be lost, and the new key could do more than the old one; make this key by \
             `keyward keys create`, or take the field out if that is meant"
                .to_owned())
        }
        _ => Ok(()),
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.is_empty(),
        // a message that is there means something even if it is empty
        Value::Object(_) | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Hexadecimal digits as base64 (RFC 4648, section 4), as JSON has bytes.
fn base64_of_hex(hex: &str) -> Option<String> {
    let digits = hex.chars().map(|digit| digit.to_digit(16)).collect::<Option<Vec<_>>>()?;
    let bytes = digits.chunks_exact(2).map(|two| two.iter().fold(0, |sum, digit| sum * 16 + digit));
    let bytes = bytes.map(u8::try_from).collect::<Result<Vec<_>, _>>().ok()?;
    Some(STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tidied(line: Value) -> Result<Value, String> {
        let place = Place { domain: "acme".into(), environment: "staging".into() };
        let Value::Object(mut object) = line else {
            panic!("no object");
        };
        tidy(&mut object, &place).map(|()| Value::Object(object))
    }

    #[test]
    fn a_line_that_restricts_what_an_import_cannot_is_refused() {
        for (name, value) in [
            ("routeRules", json!(["GET /a"])),
            ("route_rules", json!(["GET /a"])),
            ("customers", json!(["acme"])),
            ("allowedAddresses", json!(["10.0.0.0/8"])),
            ("denied_addresses", json!("10.0.0.0/8")),
            ("managedBy", json!("portal")),
            ("delegation", json!({})),
            ("deletedGroups", json!(["gone"])),
        ] {
            let refused = tidied(json!({"displayName": "A", name: value})).unwrap_err();
            assert!(refused.starts_with(&format!("{name}: would be lost")), "{refused}");
            let nothing = json!({"displayName": "A", name: null});
            assert_eq!(tidied(nothing), Ok(json!({"displayName": "A"})));
        }
        let empty = json!({"displayName": "A", "routeRules": [], "managedBy": ""});
        assert_eq!(tidied(empty), Ok(json!({"displayName": "A"})));
    }

    #[test]
    fn a_line_of_a_key_that_has_ended_is_refused() {
        for (name, value) in [
            ("state", json!("KEY_STATE_INACTIVE")),
            ("state", json!("KEY_STATE_REVOKED")),
            ("state", json!(3)),
            ("deleteTime", json!("2026-01-01T00:00:00Z")),
            ("revocation", json!({"reason": "REVOCATION_REASON_ABUSE"})),
        ] {
            let refused = tidied(json!({"displayName": "A", name: value})).unwrap_err();
            assert!(refused.starts_with(name), "{refused}");
        }
        let active = json!({"displayName": "A", "state": ACTIVE});
        assert_eq!(tidied(active), Ok(json!({"displayName": "A"})));
    }

    #[test]
    fn a_line_of_another_place_than_that_of_the_new_keys_is_refused() {
        for (name, value, flag) in
            [("domain", "default", "--domain"), ("environment", "production", "--environment")]
        {
            let refused = tidied(json!({"displayName": "A", name: value})).unwrap_err();
            assert!(refused.starts_with(name) && refused.contains(flag), "{refused}");
        }
        let same = json!({"displayName": "A", "domain": "acme", "environment": "staging"});
        assert_eq!(tidied(same), Ok(json!({"displayName": "A"})));
    }

    #[test]
    fn fields_that_tell_and_fields_of_items_are_known_to_the_message_of_a_key() {
        let (key, item) = (descriptor::<Key>().unwrap(), descriptor::<ImportKeyItem>().unwrap());
        for name in NARROWING.iter().chain(&["domain", "environment", "state"]) {
            assert!(field(&key, name).is_some() && field(&item, name).is_none(), "{name}");
        }
    }
}
