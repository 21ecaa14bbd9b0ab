//! What a notice says: the body of the request.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;

use crate::model::{
    notice::{Notice, Told},
    time::Timestamp,
};

/// What happened; the only type so far.
const TYPE: &str = "key.expiring";

/// The body: `type`, `timestamp` and `data`, as Standard Webhooks has it. No secret is in it.
pub fn body(notice: &Notice, told: &Told) -> String {
    let message = json!({
        "type": TYPE,
        "timestamp": rfc3339(notice.make_time),
        "data": {
            "key_id": notice.key.to_string(),
            "display_name": told.display_name,
            "hint": told.hint,
            "domain": told.domain,
            "environment": told.environment,
            "user": told.user,
            "customers": told.customers,
            "created_by": told.created_by,
            "expire_time": rfc3339(notice.expire_time),
            "threshold": span(notice.threshold),
        },
    });
    message.to_string()
}

/// A time as RFC 3339 says, to the microsecond. Before 1970 is 1970.
fn rfc3339(time: Timestamp) -> String {
    let micros = u64::try_from(time.min(Timestamp::LAST).micros()).unwrap_or(0);
    humantime::format_rfc3339_micros(UNIX_EPOCH + Duration::from_micros(micros)).to_string()
}

/// A span in the largest unit that it is a whole number of, as settings have it: `7d`, `36h`, `90s`.
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
    let unit =
        units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    let (unit, letter) = unit.unwrap_or((1, 's'));
    format!("{}{letter}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{id::KeyId, notice::NoticeId};

    #[test]
    fn a_body_has_all_that_is_told_of_a_key() {
        let id = KeyId::from_bytes([1; 16]);
        let told = Told {
            display_name: "Billing \"nightly\"".into(),
            hint: "kw_prod_ab…wxyz".into(),
            domain: "default".into(),
            environment: "production".into(),
            user: None,
            customers: vec!["acme".into()],
            created_by: "bootstrap".into(),
        };
        let notice = Notice {
            id: NoticeId::new(id),
            key: id,
            expire_time: Timestamp::from_micros(1_800_000_000_000_000),
            threshold: Duration::from_secs(7 * 86_400),
            make_time: Timestamp::from_micros(1_799_395_200_500_000),
            tries: 3,
            told: None,
        };
        let expected = format!(
            "{{\"data\":{{\"created_by\":\"bootstrap\",\"customers\":[\"acme\"],\
             \"display_name\":\"Billing \\\"nightly\\\"\",\"domain\":\"default\",\
             \"environment\":\"production\",\"expire_time\":\"2027-01-15T08:00:00.000000Z\",\
             \"hint\":\"kw_prod_ab…wxyz\",\"key_id\":\"{id}\",\"threshold\":\"7d\",\"user\":null}},\
             \"timestamp\":\"2027-01-08T08:00:00.500000Z\",\"type\":\"key.expiring\"}}"
        );
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&body(&notice, &told)), read(&expected));
    }

    #[test]
    fn a_span_is_shown_in_its_largest_whole_unit() {
        for (seconds, shown) in
            [(86_400, "1d"), (30 * 86_400, "30d"), (129_600, "36h"), (90, "90s"), (120, "2m")]
        {
            assert_eq!(span(Duration::from_secs(seconds)), shown);
        }
    }
}
