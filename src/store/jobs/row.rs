//! A job's row, both ways.

use serde_json::{Value as Json, json};
use tokio_postgres::Row;

use crate::{
    model::{
        job::{Job, JobCounts, JobId, JobKind, JobState, JobTask, OnConflict},
        name::{DomainName, EnvironmentName},
        text::Prose,
        time::Timestamp,
    },
    store::{
        error::StoreError,
        key_row::{reason_from_text, reason_text},
        row::field,
    },
};

const TABLE: &str = "job";

/// What a job was told, as it is stored.
pub(super) fn parameters(task: &JobTask) -> Json {
    match task {
        JobTask::Import { domain, environment, on_conflict } => json!({
            "domain": domain.as_str(),
            "environment": environment.as_str(),
            "on_conflict": match on_conflict {
                OnConflict::Skip => "skip",
                OnConflict::Fail => "fail",
            },
        }),
        JobTask::Revoke { reason, comment } => {
            json!({ "reason": reason_text(*reason), "comment": comment.as_str() })
        }
        JobTask::Deactivate => json!({}),
        JobTask::Purge { deleted_before } => {
            json!({ "deleted_before_micros": deleted_before.micros() })
        }
        JobTask::Trim { logged_before } => {
            json!({ "logged_before_micros": logged_before.micros() })
        }
    }
}

/// Reads a row with the columns that all statements on jobs select.
pub(super) fn job_from_row(row: &Row) -> Result<Job, StoreError> {
    let unknown = |column, text: &str| StoreError::corrupt(TABLE, column, text.to_owned());
    let kind: &str = field(row, TABLE, "kind")?;
    let kind = JobKind::parse(kind).ok_or_else(|| unknown("kind", kind))?;
    let state: &str = field(row, TABLE, "state")?;
    let state = JobState::parse(state).ok_or_else(|| unknown("state", state))?;
    let domain: Option<&str> = field(row, TABLE, "domain")?;
    let domain = domain.map(DomainName::parse).transpose();
    let peer: Option<&str> = field(row, TABLE, "peer")?;
    Ok(Job {
        id: JobId::new(field(row, TABLE, "id")?),
        task: task(kind, &field(row, TABLE, "parameters")?)?,
        state,
        domain: domain.map_err(|error| StoreError::corrupt(TABLE, "domain", error))?,
        counts: JobCounts {
            total: field(row, TABLE, "total")?,
            done: field(row, TABLE, "done")?,
            failed: field(row, TABLE, "failed")?,
            skipped: field(row, TABLE, "skipped")?,
        },
        reached: field(row, TABLE, "reached")?,
        created_by: field(row, TABLE, "created_by")?,
        peer: peer.and_then(|peer| peer.parse().ok()),
        create_time: field(row, TABLE, "created_at")?,
        start_time: field(row, TABLE, "started_at")?,
        finish_time: field(row, TABLE, "finished_at")?,
        error: field::<Option<&str>>(row, TABLE, "error")?.map(Into::into),
    })
}

fn task(kind: JobKind, stored: &Json) -> Result<JobTask, StoreError> {
    let text = |name: &str| stored.get(name).and_then(Json::as_str).unwrap_or_default();
    let time = |name: &str| {
        let micros = stored.get(name).and_then(Json::as_i64);
        let micros = micros.ok_or_else(|| StoreError::corrupt(TABLE, "parameters", "no time"))?;
        Ok::<_, StoreError>(Timestamp::from_micros(micros))
    };
    Ok(match kind {
        JobKind::ImportKeys => JobTask::Import {
            domain: DomainName::parse(text("domain"))
                .map_err(|error| StoreError::corrupt(TABLE, "parameters", error))?,
            environment: EnvironmentName::parse(text("environment"))
                .map_err(|error| StoreError::corrupt(TABLE, "parameters", error))?,
            on_conflict: match text("on_conflict") {
                "fail" => OnConflict::Fail,
                _ => OnConflict::Skip,
            },
        },
        JobKind::RevokeKeys => JobTask::Revoke {
            reason: reason_from_text(text("reason"))?,
            comment: Prose::parse(text("comment"))
                .map_err(|error| StoreError::corrupt(TABLE, "parameters", error))?,
        },
        JobKind::DeactivateKeys => JobTask::Deactivate,
        JobKind::PurgeKeys => JobTask::Purge { deleted_before: time("deleted_before_micros")? },
        JobKind::TrimChangeLog => JobTask::Trim { logged_before: time("logged_before_micros")? },
    })
}
