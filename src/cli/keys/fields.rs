//! Keys as people see them.

use crate::{
    cli::output::{Cell, Field, Fit, Look, Tone, text::plain, time},
    rpc::pb::{Key, KeyState, Limit, QuotaPeriod, RevocationReason, limit::Kind},
};

/// The columns of a list.
pub(in crate::cli) const COLUMNS: [Field<Key>; 14] = [
    Field { name: "Id", cell: |key, _| Cell::text(&key.id), fit: Fit::Whole },
    Field { name: "Name", cell: |key, _| Cell::text(&key.display_name), fit: Fit::Cut },
    Field { name: "State", cell: |key, _| state(key), fit: Fit::Whole },
    Field { name: "Environment", cell: |key, _| Cell::text(&key.environment), fit: Fit::Spare(2) },
    Field { name: "Last used", cell: last_used, fit: Fit::Spare(1) },
    Field { name: "Domain", cell: |key, _| Cell::text(&key.domain), fit: Fit::Spare(3) },
    Field { name: "Created", cell: created, fit: Fit::Spare(4) },
    Field { name: "Hint", cell: |key, _| Cell::text(&key.hint), fit: Fit::Spare(5) },
    Field { name: "Groups", cell: |key, _| Cell::list(&key.groups), fit: Fit::Spare(6) },
    Field { name: "Limits", cell: |key, _| limits(&key.limits), fit: Fit::Spare(7) },
    Field { name: "Created by", cell: |key, _| Cell::text(&key.created_by), fit: Fit::Spare(8) },
    Field { name: "User", cell: |key, _| Cell::text(&key.user), fit: Fit::Wide },
    Field { name: "Used from", cell: |key, _| Cell::text(&key.last_used_address), fit: Fit::Wide },
    Field { name: "Labels", cell: |key, _| Cell::pairs(&key.labels), fit: Fit::Wide },
];

/// All that there is to say of a key.
pub(super) const LINES: [Field<Key>; 32] = [
    Field { name: "Id", cell: |key, _| Cell::text(&key.id), fit: Fit::Whole },
    Field { name: "Name", cell: |key, _| Cell::text(&key.display_name), fit: Fit::Whole },
    Field { name: "Description", cell: |key, _| Cell::text(&key.description), fit: Fit::Whole },
    Field { name: "State", cell: |key, _| state(key), fit: Fit::Whole },
    Field { name: "Revoked", cell: revoked, fit: Fit::Whole },
    Field { name: "Domain", cell: |key, _| Cell::text(&key.domain), fit: Fit::Whole },
    Field { name: "Environment", cell: |key, _| Cell::text(&key.environment), fit: Fit::Whole },
    Field { name: "Hint", cell: |key, _| Cell::text(&key.hint), fit: Fit::Whole },
    Field { name: "Old token", cell: retiring, fit: Fit::Whole },
    Field { name: "Permissions", cell: |key, _| Cell::list(&key.permissions), fit: Fit::Whole },
    Field { name: "Groups", cell: |key, _| Cell::list(&key.groups), fit: Fit::Whole },
    Field { name: "Deleted groups", cell: deleted_groups, fit: Fit::Whole },
    Field { name: "User", cell: |key, _| Cell::text(&key.user), fit: Fit::Whole },
    Field { name: "Routes", cell: |key, _| Cell::list(&key.route_rules), fit: Fit::Whole },
    Field { name: "Customers", cell: |key, _| Cell::list(&key.customers), fit: Fit::Whole },
    Field {
        name: "Allowed from",
        cell: |key, _| Cell::list(&key.allowed_addresses),
        fit: Fit::Whole,
    },
    Field {
        name: "Denied from",
        cell: |key, _| Cell::list(&key.denied_addresses),
        fit: Fit::Whole,
    },
    Field { name: "Limits", cell: |key, _| limits(&key.limits), fit: Fit::Whole },
    Field { name: "Labels", cell: |key, _| Cell::pairs(&key.labels), fit: Fit::Whole },
    Field { name: "Template", cell: |key, _| Cell::text(&key.template), fit: Fit::Whole },
    Field { name: "Managed by", cell: |key, _| Cell::text(&key.managed_by), fit: Fit::Whole },
    Field { name: "Self-regenerate", cell: self_regenerate, fit: Fit::Whole },
    Field { name: "Delegation", cell: delegation, fit: Fit::Whole },
    Field {
        name: "Not before",
        cell: |key, look| Cell::when(key.not_before_time.as_ref(), look),
        fit: Fit::Whole,
    },
    Field {
        name: "Expires",
        cell: |key, look| Cell::when(key.expire_time.as_ref(), look),
        fit: Fit::Whole,
    },
    Field {
        name: "Last used",
        cell: |key, look| Cell::when(key.last_used_time.as_ref(), look),
        fit: Fit::Whole,
    },
    Field {
        name: "Last used from",
        cell: |key, _| Cell::text(&key.last_used_address),
        fit: Fit::Whole,
    },
    Field {
        name: "Created",
        cell: |key, look| Cell::when(key.create_time.as_ref(), look),
        fit: Fit::Whole,
    },
    Field { name: "Created by", cell: |key, _| Cell::text(&key.created_by), fit: Fit::Whole },
    Field {
        name: "Changed",
        cell: |key, look| Cell::when(key.update_time.as_ref(), look),
        fit: Fit::Whole,
    },
    Field {
        name: "Deleted",
        cell: |key, look| Cell::when(key.delete_time.as_ref(), look),
        fit: Fit::Whole,
    },
    Field { name: "Etag", cell: |key, _| Cell::text(&key.etag), fit: Fit::Whole },
];

/// A key in a sentence: its name and its id.
pub(super) fn sentence(key: &Key) -> String {
    format!("{} ({})", plain(&key.display_name), key.id)
}

fn state(key: &Key) -> Cell {
    match key.state() {
        KeyState::Active => Cell::toned("active", Tone::Good),
        KeyState::Inactive => Cell::toned("inactive", Tone::Caution),
        KeyState::Expired => Cell::toned("expired", Tone::Caution),
        KeyState::Revoked => Cell::toned("revoked", Tone::Bad),
        KeyState::Deleted => Cell::toned("deleted", Tone::Bad),
        KeyState::Unspecified => Cell::none(),
    }
}

fn last_used(key: &Key, look: Look) -> Cell {
    Cell::ago(key.last_used_time.as_ref(), "never", look)
}

fn created(key: &Key, look: Look) -> Cell {
    Cell::ago(key.create_time.as_ref(), "–", look)
}

fn deleted_groups(key: &Key, _look: Look) -> Cell {
    Cell::list(&key.deleted_groups)
}

fn self_regenerate(key: &Key, _look: Look) -> Cell {
    if key.allow_self_regenerate { Cell::text("its holder may") } else { Cell::none() }
}

fn delegation(key: &Key, _look: Look) -> Cell {
    key.delegation.as_ref().map_or_else(Cell::none, |delegation| {
        let domains = delegation.domains.join(", ");
        let ceiling = delegation.ceiling.join(", ");
        Cell::text(format!("{domains}, at most: {ceiling}"))
    })
}

fn retiring(key: &Key, look: Look) -> Cell {
    key.retiring_secret.as_ref().map_or_else(Cell::none, |old| {
        let end = Cell::when(old.expire_time.as_ref(), look);
        Cell::toned(format!("{} works until {}", old.hint, end.text), Tone::Caution)
    })
}

fn revoked(key: &Key, look: Look) -> Cell {
    key.revocation.as_ref().map_or_else(Cell::none, |revocation| {
        let when = Cell::when(revocation.revoke_time.as_ref(), look).text;
        let mut text =
            format!("{when} by {}, {}", revocation.revoked_by, reason(revocation.reason()));
        if !revocation.comment.is_empty() {
            text.push_str(": ");
            text.push_str(&revocation.comment);
        }
        Cell::text(text)
    })
}

fn reason(reason: RevocationReason) -> String {
    let name = reason.as_str_name().trim_start_matches("REVOCATION_REASON_");
    name.to_lowercase().replace('_', " ")
}

/// Limits as they are written on the command line.
pub fn limits(limits: &[Limit]) -> Cell {
    Cell::list(&limits.iter().map(limit).collect::<Vec<_>>())
}

/// A limit as it is written on the command line.
pub fn limit(limit: &Limit) -> String {
    let Limit { name, kind } = limit;
    match kind {
        Some(Kind::Rate(rate)) => {
            let period = rate.period.as_ref().map(time::exact).unwrap_or_default().replace(' ', "");
            let burst = Some(rate.burst).filter(|burst| ![0, rate.limit].contains(burst));
            let burst = burst.map(|burst| format!("+{burst}")).unwrap_or_default();
            format!("{name}={}/{period}{burst}", rate.limit)
        }
        Some(Kind::Quota(quota)) => {
            let period = match quota.period() {
                QuotaPeriod::Day => "day".to_owned(),
                QuotaPeriod::Month => "month".to_owned(),
                QuotaPeriod::Fixed | QuotaPeriod::Unspecified => quota
                    .fixed_period
                    .as_ref()
                    .map(time::exact)
                    .unwrap_or_default()
                    .replace(' ', ""),
            };
            format!("{name}={}/{period}", quota.limit)
        }
        Some(Kind::Concurrency(concurrency)) => format!("{name}={}", concurrency.limit),
        None => name.clone(),
    }
}
