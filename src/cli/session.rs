//! A server and who asks it: clients of all services, calls with a deadline.

use std::time::Duration;

use tokio::time::sleep;
use tonic::{
    Code, Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use tonic_types::StatusExt;
use zeroize::Zeroizing;

use super::{
    args::{Common, ConnectionArgs},
    connection::{DEFAULT_SERVER, Route, absolute, with_scheme},
    contexts::{Context, Contexts},
    error::{CliError, Doubt},
    output::Output,
    problem::TIMEOUT,
    read::{Secret, secret_file},
};
use crate::{
    clock::Deadline,
    rpc::pb::{
        access_admin_client::AccessAdminClient, authorize_client::AuthorizeClient,
        insight_client::InsightClient, key_admin_client::KeyAdminClient,
        self_service_client::SelfServiceClient,
    },
};

/// How often a question is asked in all.
const TRIES_MAX: u32 = 4;
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A page of a list may have 3 MiB and a little around it.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A connection that tells who asks.
pub type Connection = InterceptedService<Channel, Bearer>;

/// Puts a token into every request.
#[derive(Clone, Debug)]
pub struct Bearer(MetadataValue<Ascii>);

impl Bearer {
    fn of(token: &Secret) -> Result<Self, CliError> {
        let text = Zeroizing::new(format!("Bearer {}", token.reveal()));
        let mut value: MetadataValue<Ascii> = text.parse().map_err(|error| {
            CliError::usage(format!("the token is not one: {error}"), "see `keyward login --help`")
        })?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// A server, who asks it, and how answers are shown.
#[derive(Debug)]
pub struct Session {
    /// How answers are shown.
    pub out: Output,
    /// The server's address.
    pub server: String,
    /// How long a call may take.
    pub time_max: Duration,
    connection: Connection,
}

impl Session {
    /// The server that flags, variables and contexts lead to. Connects when it is first asked.
    pub fn open(common: &Common) -> Result<Self, CliError> {
        let out = Output::new(&common.output);
        let (route, token) = find(&common.connection)?;
        route.warn_of_plaintext();
        Self::connect(&route, &token, common.connection.timeout, out)
    }

    /// A server that is known.
    pub fn connect(
        route: &Route,
        token: &Secret,
        time_max: Duration,
        out: Output,
    ) -> Result<Self, CliError> {
        let connection = InterceptedService::new(route.channel(time_max)?, Bearer::of(token)?);
        Ok(Self { out, server: route.server.clone(), time_max, connection })
    }

    /// The service `KeyAdmin`.
    pub fn keys(&self) -> KeyAdminClient<Connection> {
        KeyAdminClient::new(self.connection.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The service `AccessAdmin`.
    pub fn access(&self) -> AccessAdminClient<Connection> {
        AccessAdminClient::new(self.connection.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The service `Insight`.
    pub fn insight(&self) -> InsightClient<Connection> {
        InsightClient::new(self.connection.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The service `SelfService`.
    pub fn own(&self) -> SelfServiceClient<Connection> {
        SelfServiceClient::new(self.connection.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The service `Authorize`, as operators ask it.
    pub fn authorize(&self) -> AuthorizeClient<Connection> {
        AuthorizeClient::new(self.connection.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// Asks a question, again if no answer comes.
    pub async fn ask<Q: Clone, A>(
        &self,
        question: Q,
        method: impl AsyncFn(Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, CliError> {
        self.until_answered((question, Doubt::Nothing), method).await
    }

    /// Sends a change that has this `request_id`, by which it is made once: again if no answer comes.
    pub async fn repeat<Q: Clone, A>(
        &self,
        (change, request_id): (Q, &str),
        method: impl AsyncFn(Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, CliError> {
        let doubt = Doubt::Repeatable { request_id: request_id.to_owned() };
        self.until_answered((change, doubt), method).await
    }

    async fn until_answered<Q: Clone, A>(
        &self,
        (message, doubt): (Q, Doubt),
        method: impl AsyncFn(Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, CliError> {
        let deadline = Deadline::after(self.time_max);
        let (mut tries, mut was_sent) = (1, false);
        loop {
            let mut request = Request::new(message.clone());
            request.set_timeout(deadline.left());
            let status = match method(request).await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => status,
            };
            was_sent |= !CliError::is_before_sending(&status);
            let pause = pause_after(&status, tries);
            // where nobody has listened yet, nobody will within seconds
            let may_help = was_sent && is_lost_or_unready(&status);
            if !may_help || tries == TRIES_MAX || pause >= deadline.left() {
                let doubt = if was_sent { doubt } else { Doubt::Nothing };
                return Err(self.refused(status, doubt));
            }
            tries += 1;
            sleep(pause).await;
        }
    }

    /// Sends a change, once.
    pub async fn change<Q, A>(
        &self,
        change: Q,
        method: impl AsyncFnOnce(Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, CliError> {
        let mut request = Request::new(change);
        request.set_timeout(self.time_max);
        let answer = method(request).await;
        answer.map(Response::into_inner).map_err(|status| {
            let is_certain = CliError::is_before_sending(&status);
            self.refused(status, if is_certain { Doubt::Nothing } else { Doubt::Change })
        })
    }

    /// An error of this server.
    pub fn refused(&self, status: Status, doubt: Doubt) -> CliError {
        CliError::Server { status: Box::new(status), server: self.server.clone(), doubt }
    }
}

/// Whether the server cannot answer just now, or the connection failed: what a server sends has no cause here.
fn is_lost_or_unready(status: &Status) -> bool {
    match std::error::Error::source(status) {
        Some(_) => status.message() != TIMEOUT,
        None => status.code() == Code::Unavailable,
    }
}

fn pause_after(status: &Status, tries: u32) -> Duration {
    let told = status.get_details_retry_info().and_then(|info| info.retry_delay);
    told.unwrap_or(PAUSE * tries).min(PAUSE_MAX)
}

/// The server and the token that flags, variables and contexts lead to.
///
/// A context's token goes to the context's own server only, whatever else is given.
fn find(args: &ConnectionArgs) -> Result<(Route, Secret), CliError> {
    let contexts = Contexts::load()?;
    let context = contexts.chosen(args.context())?;
    let server = match (args.server(), context) {
        (Some(server), _) => with_scheme(server)?,
        (None, Some((_, context))) => context.route.server.clone(),
        (None, None) => DEFAULT_SERVER.to_owned(),
    };
    let context = context.filter(|(_, context)| context.route.server == server);
    let route = route(args, server, context.map(|(_, context)| context))?;
    let token = match (given_token(args)?, context) {
        (Some(token), _) => token,
        (None, Some((_, context))) => context.token.clone(),
        (None, None) => {
            return Err(CliError::NotLoggedIn {
                problem: format!("there is no admin key for {}", route.server),
            });
        }
    };
    Ok((route, token))
}

/// How to reach a server: what flags do not say is as in its context.
pub fn route(
    args: &ConnectionArgs,
    server: String,
    context: Option<&Context>,
) -> Result<Route, CliError> {
    let kept = context.map(|context| context.route.clone()).unwrap_or_default();
    let (certificate, key) = args.own();
    let own = (absolute(certificate)?, absolute(key)?);
    let (client_cert, client_key) = match own {
        (None, None) => (kept.client_cert, kept.client_key),
        own => own,
    };
    Ok(Route { server, ca: absolute(args.ca())?.or(kept.ca), client_cert, client_key })
}

/// The token of a file or of the variable, if there is one.
fn given_token(args: &ConnectionArgs) -> Result<Option<Secret>, CliError> {
    if let Some(file) = args.token_file() {
        return secret_file("--token-file", file).map(Some);
    }
    Ok(Secret::of_variable("KEYWARD_TOKEN"))
}
