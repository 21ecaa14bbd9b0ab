//! Decisions for proxies: the same as for backends, of requests as a proxy tells of them.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tonic::{Code, Status};
use tracing::warn;

use crate::{
    authorize::{Explain, Outcome, Record},
    clock,
    decide::Decision,
    model::{decision::Way, time::Now},
    proxy::{
        Inquiry, Reading, Settings,
        cleaning::Cleaning,
        context::{Asking, Context, Misconfigured},
        identity::{Identity, identity},
        rate_limit,
        refusal::Refusal,
    },
    rpc::{authorize::AuthorizeService, convert::AuthorizeParts, wire::answer::Answer},
    telemetry::chain,
};

/// Decides for proxies.
#[derive(Clone, Debug)]
pub struct ProxyService {
    /// Decides.
    pub authorize: AuthorizeService,
    /// How requests are read and answered.
    pub settings: Arc<Settings>,
    /// When the log last said that a proxy is set up wrongly, in seconds since the start of the machine.
    pub complained: Arc<AtomicU64>,
}

/// What becomes of a request.
pub(in crate::rpc) enum Ruling {
    /// It goes upstream, changed.
    Pass {
        /// Header fields that are set on the way upstream.
        identity: Identity,
        /// What is taken away on the way upstream.
        cleaning: Cleaning,
        /// Header fields of the answer to the client.
        fields: Vec<(&'static str, String)>,
    },
    /// It goes no further.
    Refuse(Refusal),
}

/// What was decided, for logs and later filters of the proxy.
#[derive(Default)]
pub(in crate::rpc) struct Facts {
    /// What a text says.
    pub(in crate::rpc) texts: Vec<(&'static str, String)>,
    /// The revision of the data that the decision was made with.
    pub(in crate::rpc) revision: Option<i64>,
}

/// What becomes of a request, and why.
pub(in crate::rpc) type Ruled = (Ruling, Facts);

impl ProxyService {
    /// The same, not shared with this one.
    pub fn apart(&self) -> Self {
        let settings = Arc::new(Settings::clone(&self.settings));
        Self { settings, authorize: self.authorize.apart(), ..self.clone() }
    }

    /// Decides. `environment` is the one that the proxy's listener is for. An error means that nobody knows
    /// now, and the proxy is to do what it does then.
    pub(in crate::rpc) async fn rule<'a>(
        &'a self,
        inquiry: &Inquiry<'a>,
        context: Result<Context<'a>, Misconfigured>,
        environment: Option<&'a str>,
        (peer, way): (Option<IpAddr>, Way),
    ) -> Result<Ruled, Status> {
        let reading = match self.read(inquiry, context, environment) {
            Ok(reading) => reading,
            Err(misconfigured) => return Ok(self.complain(&misconfigured)),
        };
        match self.authorize.answer_proxy(&parts(&reading), (peer, way)).await {
            Ok(answer) => Ok(ruled(&self.settings, inquiry, &reading, &answer)),
            Err(status) if self.settings.deny_when_unavailable => {
                let reason = match status.code() {
                    Code::Unavailable => "UNAVAILABLE",
                    _ => "INTERNAL",
                };
                let facts = Facts { texts: vec![("reason", reason.to_owned())], revision: None };
                Ok((Ruling::Refuse(Refusal::unavailable()), facts))
            }
            Err(status) => Err(status),
        }
    }

    /// The same, if it can be had without waiting and somebody knows; otherwise nothing was taken or noted.
    /// It arrived before the time that comes with `peer`.
    pub(in crate::rpc) fn rule_now<'a>(
        &'a self,
        inquiry: &Inquiry<'a>,
        context: Result<Context<'a>, Misconfigured>,
        environment: Option<&'a str>,
        asked: (Option<IpAddr>, Way, Now),
    ) -> Option<Ruled> {
        let reading = match self.read(inquiry, context, environment) {
            Ok(reading) => reading,
            Err(misconfigured) => return Some(self.complain(&misconfigured)),
        };
        let answer = self.authorize.answer_proxy_now(&parts(&reading), asked)?;
        Some(ruled(&self.settings, inquiry, &reading, &answer))
    }

    /// What is to be decided.
    fn read<'a>(
        &'a self,
        inquiry: &Inquiry<'a>,
        context: Result<Context<'a>, Misconfigured>,
        environment: Option<&'a str>,
    ) -> Result<Reading<'a>, Misconfigured> {
        context.and_then(|context| inquiry.read(&self.settings, context, environment))
    }

    /// Refuses what the operator must put right first. The log says so once in a second.
    pub(in crate::rpc) fn complain(&self, misconfigured: &Misconfigured) -> Ruled {
        let now = clock::boot().nanos() / 1_000_000_000;
        if self.complained.swap(now, Relaxed) != now {
            warn!(error = chain(misconfigured), "a proxy is set up wrongly");
        }
        let facts = Facts { texts: vec![("reason", "MISCONFIGURED".to_owned())], revision: None };
        (Ruling::Refuse(Refusal::misconfigured()), facts)
    }
}

/// What an answer means for a request.
pub(in crate::rpc) fn ruled(
    settings: &Settings,
    inquiry: &Inquiry<'_>,
    reading: &Reading<'_>,
    answer: &Answer,
) -> Ruled {
    let Answer { outcome, id } = answer;
    let id = id.to_string();
    let ruling = match outcome.decision {
        Decision::Allow => {
            let identity = identity(outcome, reading, &id);
            let set: Vec<&str> = identity.iter().map(|(name, _)| *name).collect();
            let cleaning = Cleaning::of(&settings.sources, inquiry, &set);
            let limits = outcome.verdict.as_ref().and_then(rate_limit::fields);
            Ruling::Pass { identity, cleaning, fields: limits.into_iter().flatten().collect() }
        }
        Decision::Deny(reason) => Ruling::Refuse(Refusal::denied(reason, outcome, &id, settings)),
    };
    (ruling, facts(outcome, &id))
}

fn parts<'a>(reading: &'a Reading<'_>) -> AuthorizeParts<'a> {
    AuthorizeParts {
        presented: reading.presented(),
        question: reading.question(),
        revision_min: 0,
        record: match reading.context.asking {
            Asking::CheckOnly => Record::Nothing,
            Asking::Charge | Asking::AuthenticateOnly => Record::Use,
        },
        explain: Explain::No,
        cost: reading.context.cost,
        reserve: None,
    }
}

fn facts(outcome: &Outcome, id: &str) -> Facts {
    let mut texts = vec![("decision_id", id.to_owned())];
    if let Decision::Deny(reason) = outcome.decision {
        texts.push(("reason", reason.name().to_owned()));
    }
    if let Some(key) = &outcome.key {
        texts.push(("key_id", key.id.to_string()));
        texts.push(("domain", key.profile.domain.name.to_string()));
        texts.push(("environment", key.profile.environment.to_string()));
        if let Some(user) = &key.profile.user {
            texts.push(("user", user.facts.of_latest(|facts| facts.id.to_string())));
        }
    }
    Facts { texts, revision: Some(outcome.knowledge.revision) }
}
