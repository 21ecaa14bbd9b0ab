//! All metrics. `docs/metrics.md` is the same table for people, and a test compares the two.
//!
//! To add one: a row here, and its value in a [`super::Source`], which [`crate::app`] adds to the registry.

use super::{
    Kind, Label, Metric, Values,
    decisions::{CAUSES, WAYS},
    states::CODES,
};

pub(super) const MODES: [&str; 4] = ["lost", "probing", "notify", "poll"];
/// What waits in memory to be carried elsewhere.
pub const QUEUES: [&str; 6] =
    ["usage", "quota", "peppers", "otlp_metrics", "otlp_spans", "decisions"];
/// Where clients connect.
pub const LISTENERS: [&str; 3] = ["authorize", "admin", "http"];

/// How soon keys expire that are counted.
pub(super) const WITHIN: [&str; 3] = ["1d", "7d", "30d"];
/// What jobs do.
pub(super) const JOB_KINDS: [&str; 5] =
    ["import_keys", "revoke_keys", "deactivate_keys", "purge_keys", "trim_change_log"];
/// How far jobs are.
pub(super) const JOB_STATES: [&str; 6] =
    ["receiving", "pending", "running", "succeeded", "failed", "cancelled"];
/// How jobs end by themselves.
pub(super) const JOB_OUTCOMES: [&str; 2] = ["succeeded", "failed"];
/// What becomes of the items of jobs.
pub(super) const ITEM_OUTCOMES: [&str; 3] = ["done", "failed", "skipped"];
/// What becomes of notices.
pub(super) const NOTICE_OUTCOMES: [&str; 3] = ["sent", "given_up", "dropped"];

const NONE: &[Label] = &[];
const WAY: Label = Label { name: "way", values: Values::Listed(&WAYS) };
const QUEUE: &[Label] = &[Label { name: "queue", values: Values::Listed(&QUEUES) }];
const KIND: Label = Label { name: "kind", values: Values::Listed(&JOB_KINDS) };
const LISTENER: &[Label] = &[Label { name: "listener", values: Values::Listed(&LISTENERS) }];

/// Makes the rows, and the list of all.
macro_rules! metrics {
    ($($row:ident: $kind:ident $name:literal in $unit:literal by $labels:expr, $help:literal, $reading:literal;)+) => {
        $(
            #[doc = $help]
            pub static $row: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                unit: $unit,
                help: $help,
                labels: $labels,
                reading: $reading,
            };
        )+

        /// All, in the order in which they are shown.
        pub static ALL: [&Metric; [$($name),+].len()] = [$(&$row),+];
    };
}

metrics! {
    DECISIONS: Counter "keyward_decisions_total" in "" by &[WAY, Label { name: "reason", values: Values::Outcomes }],
        "Decisions on the authorize and http listeners.",
        "A rise of KEY_UNKNOWN or FAILURES_THROTTLED is somebody who guesses; of ENVIRONMENT_MISMATCH or ROUTE_DENIED, a client that was deployed wrongly.";
    DECISION_DURATION: Histogram "keyward_decision_duration_seconds" in "seconds" by &[WAY],
        "From when a request was read to when the answers to those decided together with it were made.",
        "Some microseconds. More than a millisecond, where nothing waits for Redis or a revision, is a machine without free cores.";
    UNAVAILABLE: Counter "keyward_decisions_unavailable_total" in "" by &[Label { name: "cause", values: Values::Listed(&CAUSES) }],
        "Calls that got no decision: UNAVAILABLE, or 503.",
        "0 but for `loading` at the start and `draining` at the end.";
    DEGRADED: Counter "keyward_decisions_degraded_total" in "" by NONE,
        "Decisions for which this replica alone judged limits that are shared.",
        "0 while Redis answers.";
    CONNECTIONS: Gauge "keyward_connections" in "" by LISTENER,
        "Open connections.",
        "Near keyward_connections_max new ones are refused.";
    CONNECTIONS_MAX: Gauge "keyward_connections_max" in "" by LISTENER,
        "Connections that may be open.",
        "As it was set.";
    CONNECTIONS_REFUSED: Counter "keyward_connections_refused_total" in "" by LISTENER,
        "Connections that were closed at once, since too many were open.",
        "0. Otherwise raise the limit, or find who opens so many.";
    READY: Gauge "keyward_replica_ready" in "" by NONE,
        "Whether this replica may decide: 1 or 0.",
        "1.";
    REVISION: Gauge "keyward_replica_revision" in "" by NONE,
        "The last revision that is in memory whole.",
        "The same in all replicas, but for moments.";
    HEAD_REVISION: Gauge "keyward_replica_head_revision" in "" by NONE,
        "The last revision of the database that was seen.",
        "Equal to keyward_replica_revision, but for moments; if it stays ahead, changes come faster than they are applied.";
    CONTACT_AGE: Gauge "keyward_replica_contact_age_seconds" in "seconds" by NONE,
        "How long ago this replica knew to have all changes; before the first time, how long ago it began.",
        "Below the poll interval. At --max-staleness decisions end.";
    FOLLOW_MODE: Gauge "keyward_replica_follow_mode" in "" by &[Label { name: "mode", values: Values::Listed(&MODES) }],
        "How this replica hears of changes: 1 for the present mode, 0 for others.",
        "notify; poll behind a pooler in transaction mode, where changes take up to the poll interval; lost: no connection.";
    LOSSES: Counter "keyward_replica_losses_total" in "" by NONE,
        "How often the connection that follows changes was lost, or could not be made.",
        "Grows with restarts of the database.";
    KEYS: Gauge "keyward_replica_keys" in "" by NONE,
        "Secrets in memory: one for each key, and one more while a replaced one is still good.",
        "What memory grows with.";
    PEPPER_LACKING: Gauge "keyward_replica_lacking_pepper_keys" in "" by NONE,
        "Keys that need a pepper which this process does not have. While there are any, keys that it does not know are UNAVAILABLE.",
        "0. Otherwise give it the pepper that the log names.";
    PEPPER_SECRETS: Gauge "keyward_pepper_secrets" in "" by &[Label { name: "pepper", values: Values::Peppers }],
        "Tokens that are digested with each pepper, counted every five minutes while there are several that are not retired.",
        "While one pepper takes the place of another, the old one's falls as keys are used; at 0 it can be retired.";
    LOADS: Counter "keyward_replica_loads_total" in "" by NONE,
        "How often all keys were loaded.",
        "1. More: the change log was broken, as after the database was restored.";
    LOAD_DURATION: Gauge "keyward_replica_load_duration_seconds" in "seconds" by NONE,
        "How long the last load of all keys took.",
        "What a start takes, about.";
    QUEUE_LENGTH: Gauge "keyward_queue_length" in "" by QUEUE,
        "What waits in memory to be carried elsewhere.",
        "What comes in one interval. If it grows, the other side is away or slow.";
    QUEUE_DROPPED: Counter "keyward_queue_dropped_total" in "" by QUEUE,
        "What was lost since a queue was full.",
        "0.";
    FLUSH_TIMESTAMP: Gauge "keyward_flush_timestamp_seconds" in "seconds" by QUEUE,
        "When a queue was last carried elsewhere whole, in seconds since 1970; 0: never.",
        "Not older than some intervals.";
    FLUSH_FAILURES: Counter "keyward_flush_failures_total" in "" by QUEUE,
        "How often a queue could not be carried elsewhere; what is in it stays.",
        "Grows while the other side is away.";
    DATABASE_CONNECTIONS: Gauge "keyward_database_connections" in "" by &[Label { name: "state", values: Values::Listed(&["used", "idle"]) }],
        "Connections of the pool to the database.",
        "Where all are used for long, admin calls wait.";
    DATABASE_CONNECTIONS_MAX: Gauge "keyward_database_connections_max" in "" by NONE,
        "Connections that the pool may have.",
        "As it was set.";
    DATABASE_WAITING: Gauge "keyward_database_waiting" in "" by NONE,
        "Who waits for a connection of the pool.",
        "0.";
    ADMIN_CALLS: Counter "keyward_admin_calls_total" in "" by &[Label { name: "rpc", values: Values::Rpcs }, Label { name: "code", values: Values::Listed(&CODES) }],
        "Calls on the admin listener. The code is that with which an answer begins: of a stream, OK if it began.",
        "INTERNAL is a mistake of ours; UNAVAILABLE, a database that is away; UNAUTHENTICATED and PERMISSION_DENIED, somebody who tries.";
    ADMIN_CALL_DURATION: Histogram "keyward_admin_call_duration_seconds" in "seconds" by NONE,
        "From a call on the admin listener to the beginning of its answer.",
        "Milliseconds: a transaction in the database.";
    SHARING: Gauge "keyward_limits_sharing" in "" by &[Label { name: "mode", values: Values::Listed(&["local", "fast", "exact"]) }],
        "How replicas share limits: 1 for the present mode, 0 for others.",
        "As it was set.";
    REPLICAS: Gauge "keyward_limits_replicas" in "" by NONE,
        "Replicas that share limits, as this one knows.",
        "The same in all of them.";
    REDIS_UP: Gauge "keyward_redis_up" in "" by NONE,
        "Whether Redis answers in time: 1 or 0. Not there without Redis.",
        "1. Otherwise each replica enforces its share of limits.";
    SYNC_AGE: Gauge "keyward_limits_sync_age_seconds" in "seconds" by NONE,
        "How long ago this replica had told the others of all that it took from limits. Not there without Redis.",
        "The sync interval, about: a part of the bound on overshoot.";
    KEYS_EXPIRING: Gauge "keyward_keys_expiring" in "" by &[Label { name: "within", values: Values::Listed(&WITHIN) }],
        "Active keys that expire so soon, in the whole database. Not there while it cannot be counted, as all below that are of the whole database.",
        "What ListKeys shows for states ACTIVE and expires_before. The same in all replicas, but for moments.";
    KEYS_EXPIRED: Gauge "keyward_keys_expired" in "" by NONE,
        "Keys that expired within the last day and were not changed otherwise, in the whole database.",
        "Holders that still use them show as KEY_EXPIRED in keyward_decisions_total.";
    CERTIFICATE_EXPIRY: Gauge "keyward_certificate_expiry_seconds" in "seconds" by LISTENER,
        "When the certificate in use on a listener expires, in seconds since 1970. Not there without TLS.",
        "Weeks ahead. If new files are not taken, the log says why.";
    JOBS: Gauge "keyward_jobs" in "" by &[Label { name: "state", values: Values::Listed(&JOB_STATES) }],
        "Jobs by state, in the whole database; those that ended stay for 90 days.",
        "Pending ones wait for those before them.";
    JOBS_ENDED: Counter "keyward_jobs_ended_total" in "" by &[KIND, Label { name: "outcome", values: Values::Listed(&JOB_OUTCOMES) }],
        "Jobs that ended on this replica.",
        "None failed; GetJob says why.";
    JOB_ITEMS: Counter "keyward_job_items_total" in "" by &[KIND, Label { name: "outcome", values: Values::Listed(&ITEM_OUTCOMES) }],
        "Items of jobs that this replica dealt with.",
        "Grows while a job runs; ListJobErrors has those that failed.";
    JOB_SUCCESS: Gauge "keyward_job_success_timestamp_seconds" in "seconds" by &[KIND],
        "When a job last did all it was to do, in the whole database, in seconds since 1970; 0: not within 90 days.",
        "trim_change_log: within two days.";
    NOTICES: Counter "keyward_notices_total" in "" by &[Label { name: "outcome", values: Values::Listed(&NOTICE_OUTCOMES) }],
        "Notices of keys that expire that this replica sent, gave up after three days, or dropped since they were not due any more.",
        "None given up.";
    NOTICE_FAILURES: Counter "keyward_notice_failures_total" in "" by NONE,
        "How often the receiver did not take a notice from this replica; it is sent again.",
        "Grows while the receiver is away; the log says why.";
    NOTICES_WAITING: Gauge "keyward_notices_waiting" in "" by NONE,
        "Notices that wait to be sent, in the whole database.",
        "0 but for moments; 20 are sent each second.";
    NOTICES_AGE: Gauge "keyward_notices_age_seconds" in "seconds" by NONE,
        "How long the oldest of them has waited; 0: none waits.",
        "After three days a notice is given up.";
    BUILD: Gauge "keyward_build_info" in "" by &[Label { name: "version", values: Values::Version }],
        "1, with what this version is called.",
        "The same in all replicas, but for a rollout.";
    CPU: Counter "process_cpu_seconds_total" in "seconds" by NONE,
        "Processor time of this process.",
        "Its rate is how many cores it uses.";
    MEMORY: Gauge "process_resident_memory_bytes" in "bytes" by NONE,
        "Memory of this process that is not swapped.",
        "Grows with keys and then stays.";
    FILES: Gauge "process_open_fds" in "" by NONE,
        "Open file descriptors.",
        "One for each connection, and some.";
    FILES_MAX: Gauge "process_max_fds" in "" by NONE,
        "File descriptors that may be open.",
        "More than connections may be open.";
    START: Gauge "process_start_time_seconds" in "seconds" by NONE,
        "When this process began, in seconds since 1970.",
        "A new value is a restart.";
}
