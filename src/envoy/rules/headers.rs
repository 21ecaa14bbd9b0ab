//! Which header fields Keyward sees, and whether what it changes of them is done.

use super::{
    Check::Authorization as EachAuthorization,
    Rule,
    scope::{Authorization, Hit, when},
};
use crate::envoy::{
    finding::Severity::{Advice, Error, Warning},
    names::{self, IDENTITY, READ},
    place::Place,
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "hidden-headers",
        severity: Warning,
        help: "take allowed_headers and disallowed_headers out, or let them choose all header fields \
               that keys are read from, cookie, content-type and x-forwarded-for",
        check: EachAuthorization(hidden_headers),
    },
    Rule {
        name: "hidden-identity",
        severity: Error,
        help: "take allowed_headers and disallowed_headers out, or let Keyward see all that begins \
               with x-keyward-, or remove it with early_header_mutation_extensions",
        check: EachAuthorization(hidden_identity),
    },
    Rule {
        name: "raw-headers",
        severity: Advice,
        help: "set encode_raw_headers: true",
        check: EachAuthorization(raw_headers),
    },
    Rule {
        name: "unchecked-mutations",
        severity: Advice,
        help: "set validate_mutations: true",
        check: EachAuthorization(unchecked_mutations),
    },
    Rule {
        name: "mutations-disallowed",
        severity: Error,
        help: "take decoder_header_mutation_rules out",
        check: EachAuthorization(mutations_disallowed),
    },
    Rule {
        name: "mutations-restricted",
        severity: Warning,
        help: "take decoder_header_mutation_rules out, or see to it that x-keyward-…, the header \
               fields that keys are read from and cookie may be set and removed",
        check: EachAuthorization(mutations_restricted),
    },
];

/// Whether the filter surely tells Keyward of a header field; nothing if that is not known.
fn is_shown(config: &Place<'_>, name: &str) -> Option<bool> {
    let allowed = config.get("allowed_headers").map_or(Some(true), |at| names::lists(&at, name));
    let hidden = config.get("disallowed_headers").map_or(Some(false), |at| names::lists(&at, name));
    match (allowed, hidden) {
        (Some(false), _) | (_, Some(true)) => Some(false),
        (Some(true), Some(false)) => Some(true),
        _ => None,
    }
}

/// The list that hides a header field.
fn hiding_list<'a>(config: &Place<'a>, name: &str) -> Option<Place<'a>> {
    let hides = |at: &Place<'a>| names::lists(at, name) == Some(true);
    let disallowed = config.get("disallowed_headers").filter(hides);
    disallowed.or_else(|| config.get("allowed_headers"))
}

/// One hit for all header fields that one list hides.
fn hidden(config: &Place<'_>, wanted: &[&str], why: &str) -> Vec<Hit> {
    let is_hidden = |name: &&&str| is_shown(config, name) == Some(false);
    let missing: Vec<&str> = wanted.iter().filter(is_hidden).copied().collect();
    let list = missing.first().and_then(|name| hiding_list(config, name));
    list.iter().map(|at| Hit::at(at, format!("{why}: {}", missing.join(", ")))).collect()
}

fn hidden_headers(authorization: &Authorization<'_>) -> Vec<Hit> {
    let why = "Keyward is not shown what it may need";
    hidden(&authorization.config, &READ, why)
}

fn hidden_identity(authorization: &Authorization<'_>) -> Vec<Hit> {
    let removed = |name: &&str| authorization.guard.removes_early(name);
    let left: Vec<&str> = IDENTITY.iter().filter(|name| !removed(name)).copied().collect();
    let why = "Keyward is not shown, and so cannot remove, what a client sends in its name";
    hidden(&authorization.config, &left, why)
}

fn raw_headers(authorization: &Authorization<'_>) -> Vec<Hit> {
    let config = &authorization.config;
    when(!config.is_true("encode_raw_headers"), || {
        let problem = "Keyward is shown several fields of one name as one, joined by commas";
        Hit::field(config, "encode_raw_headers", problem)
    })
}

fn unchecked_mutations(authorization: &Authorization<'_>) -> Vec<Hit> {
    let config = &authorization.config;
    when(!config.is_true("validate_mutations"), || {
        let problem =
            "what is answered to the filter is not checked before it is put into requests";
        Hit::field(config, "validate_mutations", problem)
    })
}

fn mutations_disallowed(authorization: &Authorization<'_>) -> Vec<Hit> {
    let rules = authorization.config.get("decoder_header_mutation_rules");
    let none =
        rules.filter(|at| at.is_true("disallow_all") && at.get("allow_expression").is_none());
    let problem = "what Keyward sets and removes is ignored: the upstream gets the key, and \
                   x-keyward-… as the client sent it";
    none.iter().map(|at| Hit::field(at, "disallow_all", problem)).collect()
}

fn mutations_restricted(authorization: &Authorization<'_>) -> Vec<Hit> {
    let Some(rules) = authorization.config.get("decoder_header_mutation_rules") else {
        return Vec::new();
    };
    let some = rules.is_true("disallow_all") && rules.get("allow_expression").is_some();
    when(some || rules.get("disallow_expression").is_some(), || {
        let problem = "some of what Keyward sets and removes may be ignored";
        Hit::at(&rules, problem)
    })
}
