//! Decisions as people see them.

use crate::{
    cli::{
        access::line,
        output::{Cell, Field, Fit, Tone, time},
    },
    rpc::pb::{LoggedDecision, Reason},
};

/// The columns, both of a list and of what is followed.
pub(super) const COLUMNS: [Field<LoggedDecision>; 13] = [
    Field { name: "Time", cell: |decision, _| instant(decision), fit: Fit::Whole },
    Field { name: "Verdict", cell: |decision, _| verdict(decision), fit: Fit::Whole },
    line!("Key", key_id, Fit::Whole),
    Field { name: "Request", cell: |decision, _| request(decision), fit: Fit::Cut },
    line!("Permission", permission, Fit::Spare(2)),
    line!("Address", address, Fit::Spare(1)),
    line!("Domain", domain, Fit::Spare(4)),
    line!("User", user, Fit::Spare(3)),
    line!("Customer", customer, Fit::Spare(5)),
    line!("Environment", environment, Fit::Spare(6)),
    line!("Limit", limit, Fit::Spare(7)),
    line!("Decision", decision_id, Fit::Wide),
    Field { name: "Asked by", cell: |decision, _| way(decision), fit: Fit::Wide },
];

fn instant(decision: &LoggedDecision) -> Cell {
    let text = decision.time.as_ref().map(time::absolute).unwrap_or_default();
    Cell::text(text.trim_end_matches(" UTC"))
}

fn verdict(decision: &LoggedDecision) -> Cell {
    if decision.allowed {
        return Cell::toned("allowed", Tone::Good);
    }
    let reason = match decision.reason() {
        Reason::Unspecified => "denied".to_owned(),
        reason => word(reason.as_str_name(), "REASON_"),
    };
    Cell::toned(reason, Tone::Bad)
}

fn request(decision: &LoggedDecision) -> Cell {
    let parts = [decision.method.as_str(), decision.route.as_str()];
    let told: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    Cell::text(told.join(" "))
}

fn way(decision: &LoggedDecision) -> Cell {
    Cell::text(word(decision.way().as_str_name(), "DECISION_WAY_"))
}

fn word(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase().replace('_', "-")
}
