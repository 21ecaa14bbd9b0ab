//! Notices of keys that are about to expire: what is sent, how it is signed, and when it is tried again.
//!
//! A notice is an HTTP request to one receiver, by the specification Standard Webhooks 1.0.0. It is sent until
//! the receiver answers with a status of success, at most for three days, and has the same id each time.
//! Which keys are due is [`crate::model::notice`]; the tasks are [`deliver`], which makes and sends notices on
//! one replica at a time, and [`census`], which counts for metrics and runs on all. Nothing here sends a
//! secret of a key, or opens a connection: that is [`Post`].

pub mod census;
pub mod deliver;
pub mod message;
pub mod patience;
pub mod signature;

use std::{error::Error, time::Duration};

use thiserror::Error;

/// A notice as it is sent: one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The header `webhook-id`: the same each time a notice is sent.
    pub id: String,
    /// The header `webhook-timestamp`: when it is sent, in seconds since 1970.
    pub timestamp: i64,
    /// The header `webhook-signature`.
    pub signature: String,
    /// The body, in JSON (RFC 8259).
    pub body: String,
}

/// Why a receiver did not take a notice.
#[derive(Debug, Error)]
pub enum Failure {
    /// It cannot be reached, broke off, or is not who it should be.
    #[error("the receiver of notices cannot be reached")]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    /// It did not answer in time.
    #[error("the receiver of notices did not answer within {}", humantime::format_duration(*.0))]
    Slow(Duration),
    /// It answered, but with a status that is not of success (RFC 9110, 15.3).
    #[error("the receiver of notices answered with status {status}")]
    Refused {
        /// The status.
        status: u16,
        /// For how long it wants to be left alone (RFC 9110, 10.2.3), if it says so in seconds.
        retry_after: Option<Duration>,
    },
}

/// What brings letters to their receiver.
pub trait Post: Send + Sync {
    /// Brings one. It takes a limited time.
    fn bring(&self, letter: Letter) -> impl Future<Output = Result<(), Failure>> + Send;
}
