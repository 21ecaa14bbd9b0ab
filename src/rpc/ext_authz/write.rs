//! Says to Envoy what becomes of a request: writes a `CheckResponse`, with the same bytes as prost would.

use crate::{
    proxy::{cleaning::Cleaning, identity::Identity, refusal::Refusal},
    rpc::{
        envoy::config::core::v3::header_value_option::HeaderAppendAction,
        proxies::{Facts, Ruled, Ruling},
        status,
        wire::write::Writer,
    },
};

/// The name and the value of a header field.
type Field = (&'static str, String);

/// Writes the answer to Envoy at the end of a buffer.
pub(super) fn write((ruling, facts): Ruled, is_grpc: bool, buffer: &mut Vec<u8>) {
    let mut writer = Writer(buffer);
    let refused = match &ruling {
        Ruling::Pass { .. } => None,
        Ruling::Refuse(refusal) => Some(refusal.meaning),
    };
    writer.nested(1, |inner| inner.number(1, status::of_check(refused).into()));
    match ruling {
        Ruling::Pass { identity, cleaning, fields } => {
            writer.nested(3, |inner| write_passed(inner, &identity, &cleaning, &fields));
        }
        Ruling::Refuse(refusal) => {
            writer.nested(2, |inner| write_refusal(inner, refusal, is_grpc));
        }
    }
    writer.nested(4, |inner| write_facts(inner, facts));
}

/// An `OkHttpResponse`.
fn write_passed(
    writer: &mut Writer<'_>,
    identity: &Identity,
    cleaning: &Cleaning,
    limits: &[Field],
) {
    let cookie = cleaning.cookie.as_deref();
    write_fields(writer, 2, identity);
    if let Some(rest) = cookie.filter(|rest| !rest.is_empty()) {
        write_field(writer, 2, "cookie", rest);
    }
    for name in &cleaning.fields {
        writer.bytes(5, name.as_bytes());
    }
    if cookie.is_some_and(<[u8]>::is_empty) {
        writer.bytes(5, b"cookie");
    }
    write_fields(writer, 6, limits);
    for name in &cleaning.parameters {
        writer.bytes(8, name.as_bytes());
    }
}

/// A `DeniedHttpResponse`.
fn write_refusal(writer: &mut Writer<'_>, refusal: Refusal, is_grpc: bool) {
    let Refusal { meaning, mut fields, mut body, detail } = refusal;
    if is_grpc {
        // Envoy makes trailers of these, in an answer with HTTP status 200 and a content type of its own
        fields.retain(|(name, _)| *name != "content-type");
        fields.push(("grpc-status", meaning.grpc_code().to_string()));
        fields.push(("grpc-message", detail.to_owned()));
        body.clear();
    }
    writer.nested(1, |inner| inner.number(1, meaning.http_status().into()));
    write_fields(writer, 2, &fields);
    writer.text(3, &body);
}

fn write_fields(writer: &mut Writer<'_>, number: u8, fields: &[Field]) {
    for (name, value) in fields {
        write_field(writer, number, name, value.as_bytes());
    }
}

/// A `HeaderValueOption` with a field that replaces all others of its name. Versions of Envoy look at one
/// or the other of the two that say so, and take the absence of either for the contrary.
fn write_field(writer: &mut Writer<'_>, number: u8, name: &str, value: &[u8]) {
    writer.nested(number, |option| {
        option.nested(1, |header| {
            header.text(1, name);
            match str::from_utf8(value) {
                Ok(text) => header.text(2, text),
                Err(_not_text) => header.bytes(3, value),
            }
        });
        option.nested(2, |_append_is_false| {});
        option.number(3, i32::from(HeaderAppendAction::OverwriteIfExistsOrAdd).into());
    });
}

/// What access logs and later filters can read: a `google.protobuf.Struct` of texts.
fn write_facts(writer: &mut Writer<'_>, facts: Facts) {
    let Facts { mut texts, revision } = facts;
    // as text too, since numbers there are floating-point
    texts.extend(revision.map(|revision| ("revision", revision.to_string())));
    texts.sort_unstable_by_key(|(name, _)| *name);
    for (name, text) in texts {
        writer.nested(1, |entry| {
            entry.text(1, name);
            entry.nested(2, |value| value.bytes(3, text.as_bytes()));
        });
    }
}
