//! Messages in the JSON form that protobuf defines for them, by the descriptors that reflection answers from.

use std::{fmt::Write, sync::LazyLock};

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::{Serializer, Value};

use super::text::is_harmful;
use crate::{
    cli::error::CliError,
    rpc::{DESCRIPTORS, pb},
};

/// A message that can be shown.
pub trait Shown: Message + Default {
    /// Its whole name.
    const NAME: &'static str;
}

macro_rules! shown {
    ($($message:ident),* $(,)?) => {$(
        impl Shown for pb::$message {
            const NAME: &'static str = concat!("keyward.v1.", stringify!($message));
        }
    )*};
}

shown!(
    ActivateKeyResponse,
    AdjustQuotaResponse,
    AuditEvent,
    AuditVerdict,
    AuthorizeResponse,
    Catalogue,
    CataloguePermission,
    CreateCustomerResponse,
    CreateDomainResponse,
    CreateEnvironmentResponse,
    CreateKeyResponse,
    CreatePermissionGroupResponse,
    CreateTemplateResponse,
    CreateUserResponse,
    Customer,
    DeactivateKeyResponse,
    DeactivateKeysResponse,
    DeleteCustomerResponse,
    DeleteEnvironmentResponse,
    DeleteKeyResponse,
    DeletePermissionGroupResponse,
    DeleteTemplateResponse,
    DeleteUserResponse,
    DisableDomainResponse,
    DisableUserResponse,
    Domain,
    EnableDomainResponse,
    EnableUserResponse,
    Environment,
    ExplainKeyResponse,
    ImportKeyItem,
    ImportKeysResponse,
    Job,
    JobError,
    Key,
    Limit,
    LoggedDecision,
    PermissionGroup,
    PurgeDeletedKeysResponse,
    QueryUsageResponse,
    QuotaUsage,
    RegenerateKeyResponse,
    RevokeKeyResponse,
    RevokeKeysResponse,
    RouteMap,
    RouteMapEntry,
    Template,
    UndeleteKeyResponse,
    UpdateCatalogueResponse,
    UpdateCustomerResponse,
    UpdateDomainResponse,
    UpdateEnvironmentResponse,
    UpdateKeyResponse,
    UpdatePermissionGroupResponse,
    UpdateRouteMapResponse,
    UpdateTemplateResponse,
    UpdateUserResponse,
    User,
    VerifyAuditResponse,
);

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).ok());

/// What is known of a message.
pub fn descriptor<T: Shown>() -> Result<MessageDescriptor, CliError> {
    let found = POOL.as_ref().and_then(|pool| pool.get_message_by_name(T::NAME));
    found.ok_or_else(|| CliError::failed(format!("this program does not know {}", T::NAME), ""))
}

fn dynamic<T: Shown>(message: &T) -> Result<DynamicMessage, CliError> {
    let bytes = message.encode_to_vec();
    DynamicMessage::decode(descriptor::<T>()?, bytes.as_slice()).map_err(|error| unshowable(&error))
}

fn unshowable(error: &dyn std::error::Error) -> CliError {
    CliError::failed(format!("the answer cannot be shown: {error}"), "")
}

/// In one JSON value.
pub fn value<T: Shown>(message: &T) -> Result<Value, CliError> {
    let options = SerializeOptions::new();
    let value = dynamic(message)?.serialize_with_options(serde_json::value::Serializer, &options);
    value.map_err(|error| unshowable(&error))
}

/// In lines, fields in the order of the message.
pub fn json<T: Shown>(message: &T) -> Result<String, CliError> {
    let mut bytes = Vec::new();
    dynamic(message)?
        .serialize_with_options(&mut Serializer::pretty(&mut bytes), &SerializeOptions::new())
        .map_err(|error| unshowable(&error))?;
    Ok(harmless(&String::from_utf8_lossy(&bytes)))
}

/// In one line.
pub fn json_line<T: Shown>(message: &T) -> Result<String, CliError> {
    let mut bytes = Vec::new();
    dynamic(message)?
        .serialize_with_options(&mut Serializer::new(&mut bytes), &SerializeOptions::new())
        .map_err(|error| unshowable(&error))?;
    Ok(harmless(&String::from_utf8_lossy(&bytes)))
}

/// Several, in an array.
pub fn json_array<T: Shown>(messages: &[T]) -> Result<String, CliError> {
    let each = messages.iter().map(|message| {
        let text = json(message)?;
        let lines = text.lines().map(|line| format!("  {line}"));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    });
    let each = each.collect::<Result<Vec<_>, CliError>>()?;
    Ok(if each.is_empty() { "[]\n".into() } else { format!("[\n{}\n]\n", each.join(",\n")) })
}

/// Reads the JSON form; a field that the message does not have is an error.
pub fn read<T: Shown>(value: Value) -> Result<T, CliError> {
    let unreadable = |problem: String| CliError::usage(problem, "");
    let dynamic = DynamicMessage::deserialize(descriptor::<T>()?, value)
        .map_err(|error| unreadable(error.to_string()))?;
    T::decode(dynamic.encode_to_vec().as_slice()).map_err(|error| unreadable(error.to_string()))
}

/// A text as JSON has it.
pub fn quoted(text: &str) -> String {
    harmless(&Value::from(text).to_string())
}

/// JSON whose texts can do a terminal no harm: what JSON leaves as it is, is escaped as it allows.
pub fn harmless(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for char in json.chars() {
        if char == '\n' || !is_harmful(char) {
            shown.push(char);
            continue;
        }
        for unit in char.encode_utf16(&mut [0; 2]) {
            // a String takes everything
            let _written = write!(shown, "\\u{unit:04x}");
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_that_can_be_shown_is_known() {
        let key = pb::Key { id: "key_1".into(), ..pb::Key::default() };
        assert_eq!(json_line(&key).unwrap(), r#"{"id":"key_1"}"#);
        assert_eq!(json_array::<pb::Job>(&[]).unwrap(), "[]\n");
        assert!(descriptor::<pb::ExplainKeyResponse>().is_ok());
    }

    #[test]
    fn what_is_shown_can_be_read_and_has_nothing_harmful() {
        let name = "a\u{9b}\u{202e}\"\\\u{e0041} 日本";
        let key = pb::Key { display_name: name.into(), ..pb::Key::default() };
        let shown = json(&key).unwrap();
        assert!(!shown.chars().any(|char| char != '\n' && is_harmful(char)), "{shown}");
        assert_eq!(read::<pb::Key>(serde_json::from_str(&shown).unwrap()).unwrap(), key);
        let unknown = serde_json::json!({"display_name": "a", "colour": 1});
        assert_eq!(read::<pb::Key>(unknown).unwrap_err().exit_code(), 2);
    }
}
