//! All that the authorize listener serves: decisions and health.

use http::{Request, Response};
use tonic::{body::Body, codegen::Service, server::NamedService};
use tonic_health::{pb::health_server::HealthServer, server::HealthService};

use crate::{
    rpc::{authorize::AuthorizeServer, ext_authz::ExtAuthzServer, status},
    telemetry::trace::Tracer,
};

/// The services of the authorize listener.
#[derive(Clone, Debug)]
pub struct Front {
    /// Decides.
    pub authorize: AuthorizeServer,
    /// Decides for Envoy.
    pub ext_authz: ExtAuthzServer,
    /// Says whether it can.
    pub health: HealthServer<HealthService>,
    /// Traces what callers trace, if somebody gets that.
    pub tracer: Option<Tracer>,
}

impl Front {
    /// The same with a part that threads do not share, so that they do not wait for each other's
    /// counts of references.
    pub fn apart(&self) -> Self {
        Self {
            authorize: self.authorize.apart(),
            ext_authz: self.ext_authz.apart(),
            health: self.health.clone(),
            tracer: self.tracer.clone(),
        }
    }

    /// Answers a request, or refuses it.
    pub async fn respond(mut self, request: Request<Body>) -> Response<Body> {
        let service = request.uri().path().trim_start_matches('/').split('/').next();
        match service.unwrap_or_default() {
            AuthorizeServer::NAME => self.authorize.respond(request).await,
            ExtAuthzServer::NAME => self.ext_authz.respond(request).await,
            HealthServer::<HealthService>::NAME => match self.health.call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            },
            _ => status::no_such_method().into_http(),
        }
    }
}
