//! Where the key of a request is.

use axum::http::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderName},
};

/// A request holds more than one key, or one that is no text: nobody could say whose it is.
#[derive(Debug, PartialEq, Eq)]
pub struct AmbiguousKey;

/// Takes the key out of the header fields, so that no handler can log it. It is in the field of that name, or
/// in `Authorization: Bearer KEY`. Empty: there is none.
///
/// # Errors
///
/// [`AmbiguousKey`]. The same key in both places is fine.
pub fn take(headers: &mut HeaderMap, name: &HeaderName) -> Result<String, AmbiguousKey> {
    let mut keys = Vec::new();
    for value in headers.get_all(name) {
        keys.push(value.to_str().map_err(|not_text| ambiguous(&not_text))?.trim().to_owned());
    }
    let mut has_bearer = false;
    for value in headers.get_all(AUTHORIZATION) {
        if let Some(key) = value.to_str().ok().and_then(bearer) {
            keys.push(key.to_owned());
            has_bearer = true;
        }
    }
    headers.remove(name);
    // Another scheme than Bearer is somebody else's.
    if has_bearer {
        headers.remove(AUTHORIZATION);
    }
    keys.dedup();
    if keys.len() > 1 { Err(AmbiguousKey) } else { Ok(keys.pop().unwrap_or_default()) }
}

fn ambiguous(not_text: &axum::http::header::ToStrError) -> AmbiguousKey {
    tracing::debug!(error = %not_text, "a key is no text");
    AmbiguousKey
}

/// What follows the scheme `Bearer`, whose case does not count (RFC 9110, 11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(fields: &[(&str, &str)]) -> (Result<String, AmbiguousKey>, usize) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, value.parse().unwrap());
        }
        let key = take(&mut headers, &HeaderName::from_static("x-api-key"));
        (key, headers.len())
    }

    #[test]
    fn a_key_is_taken_out_of_either_field() {
        assert_eq!(taken(&[("x-api-key", "a")]), (Ok("a".into()), 0));
        assert_eq!(taken(&[("authorization", "bearer a"), ("accept", "*")]), (Ok("a".into()), 1));
        assert_eq!(
            taken(&[("x-api-key", "a"), ("authorization", "Bearer a")]),
            (Ok("a".into()), 0)
        );
    }

    #[test]
    fn what_holds_no_key_stays() {
        assert_eq!(taken(&[("authorization", "Basic YTpi")]), (Ok(String::new()), 1));
    }

    #[test]
    fn two_keys_are_none() {
        let fields = [("x-api-key", "a"), ("authorization", "Bearer b")];
        assert_eq!(taken(&fields), (Err(AmbiguousKey), 0));
        assert_eq!(taken(&[("x-api-key", "a"), ("x-api-key", "b")]).0, Err(AmbiguousKey));
    }
}
