//! Jobs as people see them.

use crate::{
    cli::{
        access::{ago, line, when},
        output::{Cell, Field, Fit, Tone},
    },
    rpc::pb::{Job, JobError, JobKind, JobState},
};

const BAR_CHARS: i64 = 10;

/// The columns of a list.
pub(super) const COLUMNS: [Field<Job>; 8] = [
    line!("Id", id),
    Field { name: "What", cell: |job, _| Cell::text(kind(job)), fit: Fit::Whole },
    Field { name: "State", cell: |job, _| state(job), fit: Fit::Whole },
    Field { name: "Done", cell: |job, _| progress(job), fit: Fit::Whole },
    Field { name: "Failed", cell: |job, _| failed(job), fit: Fit::Spare(2) },
    Field {
        name: "Made",
        cell: |job, look| ago(job.create_time.as_ref(), look),
        fit: Fit::Spare(1),
    },
    line!("By", created_by, Fit::Spare(4)),
    line!("Domain", domain, Fit::Spare(3)),
];

/// All that there is to say of a job.
pub(super) const LINES: [Field<Job>; 14] = [
    line!("Id", id),
    Field { name: "What", cell: |job, _| Cell::text(kind(job)), fit: Fit::Whole },
    Field { name: "State", cell: |job, _| state(job), fit: Fit::Whole },
    line!("Error", error),
    line!("Domain", domain),
    Field { name: "Progress", cell: |job, _| progress(job), fit: Fit::Whole },
    Field { name: "Done", cell: |job, _| number(job.done), fit: Fit::Whole },
    Field { name: "Skipped", cell: |job, _| number(job.skipped), fit: Fit::Whole },
    Field { name: "Failed", cell: |job, _| failed(job), fit: Fit::Whole },
    Field { name: "Told", cell: |job, _| told(job), fit: Fit::Whole },
    line!("Made by", created_by),
    when!("Made", create_time),
    when!("Begun", start_time),
    when!("Ended", finish_time),
];

/// What could not be done.
pub(super) const ERRORS: [Field<JobError>; 3] = [
    Field { name: "Item", cell: |error, _| number(error.position), fit: Fit::Whole },
    line!("Subject", subject, Fit::Cut),
    line!("Problem", message, Fit::Cut),
];

/// Items that nothing will be done with any more.
pub(super) const fn worked(job: &Job) -> i64 {
    job.done.saturating_add(job.failed).saturating_add(job.skipped)
}

/// What it does, in words.
pub(super) fn kind(job: &Job) -> &'static str {
    match job.kind() {
        JobKind::ImportKeys => "import keys",
        JobKind::RevokeKeys => "revoke keys",
        JobKind::DeactivateKeys => "deactivate keys",
        JobKind::PurgeKeys => "purge keys",
        JobKind::TrimChangeLog => "trim change log",
        JobKind::Unspecified => "",
    }
}

fn state(job: &Job) -> Cell {
    match job.state() {
        JobState::Receiving => Cell::text("receiving"),
        JobState::Pending => Cell::text("pending"),
        JobState::Running => Cell::toned("running", Tone::Caution),
        JobState::Succeeded => Cell::toned("succeeded", Tone::Good),
        JobState::Failed => Cell::toned("failed", Tone::Bad),
        JobState::Cancelled => Cell::toned("cancelled", Tone::Bad),
        JobState::Unspecified => Cell::none(),
    }
}

/// What it was told; what has no value says nothing.
fn told(job: &Job) -> Cell {
    Cell::pairs(job.parameters.iter().filter(|(_, value)| !value.is_empty()))
}

/// A bar while it is worked on, and how many of how many.
fn progress(job: &Job) -> Cell {
    let worked = worked(job);
    if job.total <= 0 {
        return Cell::text(worked.to_string());
    }
    let counts = format!("{worked}/{}", job.total);
    if job.state() != JobState::Running {
        return Cell::text(counts);
    }
    let full = worked.clamp(0, job.total).saturating_mul(BAR_CHARS) / job.total;
    let bar = |char: &str, count: i64| char.repeat(usize::try_from(count).unwrap_or_default());
    Cell::text(format!("{}{} {counts}", bar("█", full), bar("░", BAR_CHARS - full)))
}

fn number(number: i64) -> Cell {
    if number == 0 { Cell::none() } else { Cell::text(number.to_string()) }
}

fn failed(job: &Job) -> Cell {
    if job.failed == 0 {
        return Cell::none();
    }
    Cell::toned(job.failed.to_string(), Tone::Bad)
}
