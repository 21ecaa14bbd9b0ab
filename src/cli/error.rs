//! What can go wrong on the client's side, and which exit code tells of it.

use std::{error::Error, io, path::PathBuf};

use tonic::{Code, ConnectError, Status};

use crate::tls::InvalidTls;

const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_NOT_FOUND: u8 = 3;
const EXIT_NOT_PERMITTED: u8 = 4;
const EXIT_UNAVAILABLE: u8 = 5;
const EXIT_STATE: u8 = 6;
/// As shells tell of SIGINT.
const EXIT_INTERRUPTED: u8 = 130;

/// Why a command did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The server said no, or did not answer.
    #[error("the server refused")]
    Server {
        /// Its answer.
        #[source]
        status: Box<Status>,
        /// Which server.
        server: String,
        /// Whether a change may have been made although no answer came.
        doubt: Doubt,
    },
    /// It was called in a way that makes no sense.
    #[error("{problem}")]
    Usage {
        /// What is wrong.
        problem: String,
        /// What to do.
        help: String,
    },
    /// It tried, and could not.
    #[error("{problem}")]
    Failed {
        /// What is wrong.
        problem: String,
        /// What to do.
        help: String,
    },
    /// What was named is not there.
    #[error("{problem}")]
    NotFound {
        /// What is not there.
        problem: String,
        /// What to do.
        help: String,
    },
    /// Nobody can be asked as whom this is.
    #[error("{problem}")]
    NotLoggedIn {
        /// What is missing.
        problem: String,
    },
    /// The file of contexts cannot be used.
    #[error("{file}: {problem}", file = file.display())]
    Contexts {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
        /// What to do.
        help: String,
    },
    /// A file of TLS.
    #[error(transparent)]
    Tls(#[from] InvalidTls),
    /// A file or stream.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Ctrl-C, or the answer "no".
    #[error("nothing was changed")]
    Interrupted,
}

/// Whether it is known that nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// A question changes nothing.
    Nothing,
    /// A change was sent.
    Change,
    /// A change was sent that is made once, however often it is sent with this `request_id`.
    Repeatable {
        /// The id.
        request_id: String,
    },
}

impl CliError {
    /// A file or stream that failed.
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }

    /// A call that makes no sense.
    pub fn usage(problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage { problem: problem.into(), help: help.into() }
    }

    /// Something that did not work.
    pub fn failed(problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Failed { problem: problem.into(), help: help.into() }
    }

    /// Something that is not there.
    pub fn not_found(problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self::NotFound { problem: problem.into(), help: help.into() }
    }

    /// How the program ends.
    pub fn exit_code(&self) -> u8 {
        match self {
            // what a server sends has no cause here: the connection failed
            Self::Server { status, .. } if Error::source(&**status).is_some() => EXIT_UNAVAILABLE,
            Self::Server { status, .. } => of_status(status.code()),
            Self::Usage { .. } | Self::Contexts { .. } | Self::Tls(_) => EXIT_USAGE,
            Self::NotFound { .. } => EXIT_NOT_FOUND,
            Self::NotLoggedIn { .. } => EXIT_NOT_PERMITTED,
            Self::Io { .. } if self.is_broken_pipe() => 0,
            Self::Failed { .. } | Self::Io { .. } => EXIT_FAILED,
            Self::Interrupted => EXIT_INTERRUPTED,
        }
    }

    /// Whether a status says that no connection was made, so that nothing was sent.
    pub fn is_before_sending(status: &Status) -> bool {
        let mut cause = Error::source(status);
        while let Some(error) = cause {
            if error.is::<ConnectError>() {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// Whether who reads what is printed has read enough.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// What was printed last, where an answer decides how the command ends: who reads no further does not change that.
pub fn even_unread(printed: Result<(), CliError>) -> Result<(), CliError> {
    match printed {
        Err(error) if error.is_broken_pipe() => Ok(()),
        printed => printed,
    }
}

fn of_status(code: Code) -> u8 {
    match code {
        Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented => EXIT_USAGE,
        Code::NotFound => EXIT_NOT_FOUND,
        Code::PermissionDenied | Code::Unauthenticated => EXIT_NOT_PERMITTED,
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::ResourceExhausted => {
            EXIT_UNAVAILABLE
        }
        Code::Aborted | Code::FailedPrecondition | Code::AlreadyExists => EXIT_STATE,
        Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => EXIT_FAILED,
    }
}
