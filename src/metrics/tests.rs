//! What is counted, and what is shown of it.

use std::{collections::HashSet, time::Duration};

use super::{
    Calls, Cause, Decisions, Family, Flushing, FollowMode, Following, Kind, Registry, Timing,
    Values,
    table::{self, ALL},
    text::{Form, text},
};
use crate::{
    decide::{Decision, Reason},
    model::{
        decision::Way,
        time::{BootTime, Now, Timestamp},
    },
};

fn now() -> Now {
    Now { wall: Timestamp::from_micros(1_500_000), boot: BootTime::from_nanos(1) }
}

fn shown(registry: &Registry, form: Form) -> Vec<String> {
    text(&registry.gather(now()), form).lines().map(str::to_owned).collect()
}

#[test]
fn names_follow_the_rules_and_are_there_once() {
    let mut names = HashSet::new();
    for metric in ALL {
        assert!(names.insert(metric.name), "{}", metric.name);
        let ours = metric.name.starts_with("keyward_") || metric.name.starts_with("process_");
        assert!(ours, "{}", metric.name);
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        assert!(metric.name.bytes().all(plain), "{}", metric.name);
        assert_eq!(
            metric.kind == Kind::Counter,
            metric.name.ends_with("_total"),
            "{}",
            metric.name
        );
        let stem = metric.name.strip_suffix("_total").unwrap_or(metric.name);
        assert!(stem.ends_with(metric.unit), "{}", metric.name);
        assert!(metric.help.ends_with('.') && metric.reading.ends_with('.'), "{}", metric.name);
        assert!(!metric.help.contains(['\n', '|']) && !metric.reading.contains(['\n', '|']));
        assert!(!metric.labels.iter().any(|label| label.name == "le"), "{}", metric.name);
    }
}

#[test]
fn a_tally_counts_each_outcome_of_each_way_and_tallies_are_added() {
    let (registry, decisions) = (Registry::default(), Decisions::default());
    let (one, other) = (decisions.tally(), decisions.tally());
    registry.add(decisions);
    one.decided(Way::Authorize, Decision::Allow, false);
    other.decided(Way::Authorize, Decision::Allow, true);
    for reason in Reason::ALL {
        other.decided(Way::ForwardAuth, Decision::Deny(reason), false);
    }
    other.unavailable(Cause::Limits);
    let lines = shown(&registry, Form::Plain);
    let has = |line: &str| assert!(lines.iter().any(|shown| shown == line), "{line}: {lines:#?}");
    has("keyward_decisions_total{way=\"authorize\",reason=\"ALLOW\"} 2");
    has("keyward_decisions_total{way=\"batch\",reason=\"ALLOW\"} 0");
    for reason in Reason::ALL {
        let name = reason.name();
        has(&format!("keyward_decisions_total{{way=\"forward_auth\",reason=\"{name}\"}} 1"));
    }
    has("keyward_decisions_unavailable_total{cause=\"limits\"} 1");
    has("keyward_decisions_unavailable_total{cause=\"draining\"} 0");
    has("keyward_decisions_degraded_total 1");
}

#[test]
fn a_time_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
    let timing = Timing::default();
    for (span, many) in [(0, 1), (1_000, 2), (1_001, 4), (1_000_000_000, 8), (u64::MAX, 16)] {
        timing.add(many, Duration::from_nanos(span));
    }
    let spread = timing.spread();
    assert_eq!(spread.buckets[..2], [3, 4]);
    assert_eq!(spread.buckets[17..], [0, 8, 16]);
    assert_eq!(spread.count(), 31);
}

#[test]
fn a_histogram_is_shown_with_growing_buckets_a_sum_and_a_count() {
    let (registry, decisions) = (Registry::default(), Decisions::default());
    decisions.tally().took(Way::Batch, 3, Duration::from_micros(4));
    registry.add(decisions);
    let lines = shown(&registry, Form::Plain);
    let of_batch =
        lines.iter().filter(|line| line.contains("{way=\"batch\"") && line.contains("duration"));
    let of_batch: Vec<&str> = of_batch.map(String::as_str).collect();
    let bucket = "keyward_decision_duration_seconds_bucket{way=\"batch\",le=";
    assert_eq!(of_batch[0], format!("{bucket}\"0.000001\"}} 0"));
    assert_eq!(of_batch[2], format!("{bucket}\"0.000005\"}} 3"));
    assert_eq!(of_batch[19], format!("{bucket}\"+Inf\"}} 3"));
    assert_eq!(of_batch[20], "keyward_decision_duration_seconds_sum{way=\"batch\"} 0.000012");
    assert_eq!(of_batch[21], "keyward_decision_duration_seconds_count{way=\"batch\"} 3");
}

#[test]
fn openmetrics_calls_a_counter_without_total_and_says_units_and_the_end() {
    let registry = Registry::default();
    registry.add(Following::default());
    let lines = shown(&registry, Form::Open);
    for line in [
        "# TYPE keyward_replica_loads counter",
        "keyward_replica_loads_total 0",
        "# UNIT keyward_replica_load_duration_seconds seconds",
    ] {
        assert!(lines.iter().any(|shown| shown == line), "{line}: {lines:#?}");
    }
    assert_eq!(lines.last().map(String::as_str), Some("# EOF"));
}

#[test]
fn openmetrics_is_for_who_accepts_it() {
    for (accept, form) in [
        ("", Form::Plain),
        ("*/*", Form::Plain),
        ("text/plain;version=0.0.4", Form::Plain),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2", Form::Open),
        ("text/plain, application/openmetrics-text", Form::Open),
        ("application/openmetrics-text;q=0", Form::Plain),
    ] {
        assert_eq!(Form::wanted(accept), form, "{accept}");
    }
}

#[test]
fn what_a_label_says_cannot_end_it() {
    let registry = Registry::default();
    registry.add(|to: &mut super::Gathering| to.add(&table::BUILD, &["a\"b\\c\nd"], 1.0));
    let lines = shown(&registry, Form::Plain);
    assert_eq!(lines[2], r#"keyward_build_info{version="a\"b\\c\nd"} 1"#);
}

#[test]
fn a_follower_has_one_mode_at_a_time() {
    let following = std::sync::Arc::new(Following::default());
    let registry = Registry::default();
    let source = std::sync::Arc::clone(&following);
    registry.add(move |to: &mut super::Gathering| super::Source::tell(&*source, to));
    let present = || {
        let lines = shown(&registry, Form::Plain);
        let modes = lines.iter().filter(|line| line.ends_with(" 1") && line.contains("mode="));
        modes.cloned().collect::<Vec<_>>()
    };
    for (mode, name) in [
        (FollowMode::Notify, "notify"),
        (FollowMode::Poll, "poll"),
        (FollowMode::Probing, "probing"),
        (FollowMode::Lost, "lost"),
    ] {
        following.goes(mode);
        assert_eq!(present(), [format!("keyward_replica_follow_mode{{mode=\"{name}\"}} 1")]);
    }
}

#[test]
fn a_flush_that_fails_leaves_the_time_of_the_last_good_one() {
    let flushing = Flushing::of("usage");
    flushing.ended::<(), ()>(&Ok(()), now().wall);
    flushing.ended::<(), ()>(&Err(()), Timestamp::from_micros(9_000_000));
    let registry = Registry::default();
    registry.add(flushing);
    let lines = shown(&registry, Form::Plain);
    assert_eq!(lines[2], "keyward_flush_timestamp_seconds{queue=\"usage\"} 1.5");
    assert_eq!(lines[5], "keyward_flush_failures_total{queue=\"usage\"} 1");
}

#[test]
fn a_call_of_what_is_not_known_is_another_one() {
    let calls = Calls::new(["KeyAdmin/GetKey".to_owned(), "AccessAdmin/GetUser".to_owned()]);
    calls.ended(calls.place("KeyAdmin/GetKey"), 5, Duration::from_millis(1));
    calls.ended(calls.place("KeyAdmin/NoSuch"), 12, Duration::from_millis(1));
    let registry = Registry::default();
    registry.add(calls);
    let lines = shown(&registry, Form::Plain);
    let counted = lines.iter().filter(|line| line.contains("rpc=") && line.ends_with(" 1"));
    assert_eq!(
        counted.collect::<Vec<_>>(),
        [
            "keyward_admin_calls_total{rpc=\"KeyAdmin/GetKey\",code=\"NOT_FOUND\"} 1",
            "keyward_admin_calls_total{rpc=\"other\",code=\"UNIMPLEMENTED\"} 1",
        ]
    );
}

/// The table for people.
fn table_for_people() -> String {
    let row = |metric: &super::Metric| {
        let label = |label: &super::Label| match label.values {
            Values::Listed(values) => format!("`{}`: {}", label.name, values.join(", ")),
            Values::Outcomes => format!("`{}`: ALLOW, or a reason", label.name),
            Values::Rpcs => format!("`{}`: `Service/Method`, or other", label.name),
            Values::Version => format!("`{}`", label.name),
            Values::Peppers => format!("`{}`: the id of a pepper", label.name),
        };
        let labels: Vec<String> = metric.labels.iter().map(label).collect();
        format!(
            "| `{}` | {} | {} | {} | {} |\n",
            metric.name,
            metric.kind.name(),
            labels.join("; "),
            metric.help,
            metric.reading
        )
    };
    ALL.into_iter().map(row).collect()
}

#[test]
fn the_table_in_the_documentation_is_that_of_the_program() {
    let document = include_str!("../../docs/metrics.md");
    let (_, rows) = document.split_once("|---|---|---|---|---|\n").unwrap();
    let rows = rows.split("\n\n").next().unwrap().trim_end();
    assert_eq!(
        rows,
        table_for_people().trim_end(),
        "the whole table should be:\n{}",
        table_for_people()
    );
}

#[test]
fn what_nobody_tells_is_not_shown() {
    let families: Vec<Family> = Registry::default().gather(now());
    assert!(families.is_empty());
}
