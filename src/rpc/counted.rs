//! Counts calls of the admin listener, by what is called and how its answer begins, and traces them.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::{body::Body, codegen::Service};

use crate::{
    clock,
    metrics::Calls,
    rpc::{DESCRIPTORS, traced},
    telemetry::trace::Tracer,
};

/// A service whose calls are counted.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    service: S,
    calls: Arc<Calls>,
    tracer: Option<Tracer>,
}

impl<S> Counted<S> {
    /// Counts the calls of a service here.
    pub const fn new(service: S, calls: Arc<Calls>, tracer: Option<Tracer>) -> Self {
        Self { service, calls, tracer }
    }
}

/// All that we define, as `Service/Method`.
pub fn rpcs() -> BTreeSet<String> {
    let ours = FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default();
    let files = ours.file.iter().filter(|file| file.package().starts_with("keyward."));
    let services = files.flat_map(|file| &file.service);
    let rpcs = services.flat_map(|service| {
        service.method.iter().map(|method| format!("{}/{}", service.name(), method.name()))
    });
    rpcs.collect()
}

/// `Service/Method` of a path `/package.Service/Method` of ours.
fn rpc(path: &str) -> &str {
    let name = path.strip_prefix("/keyward.").unwrap_or_default();
    let service = name.split('/').next().unwrap_or_default();
    let package = service.rfind('.').map_or(0, |dot| dot + 1);
    name.get(package..).unwrap_or_default()
}

impl<S> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let calls = Arc::clone(&self.calls);
        let (place, begun) = (calls.place(rpc(request.uri().path())), clock::boot());
        let start = traced::start(self.tracer.as_ref(), request.headers());
        let span = self.tracer.clone().zip(start);
        let name = traced::name(request.uri().path());
        let answering = self.service.call(request);
        Box::pin(async move {
            let answer = match span {
                None => answering.await?,
                Some((tracer, start)) => {
                    let noted = async {
                        let answer = answering.await?;
                        traced::note_status(answer.headers());
                        Ok::<_, Infallible>(answer)
                    };
                    tracer.scope(start, name, noted).await?
                }
            };
            calls.ended(place, traced::code(answer.headers()), clock::boot().since(begun));
            Ok(answer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_ours_is_a_service_and_a_method() {
        let rpcs = rpcs();
        assert!(rpcs.contains("KeyAdmin/CreateKey") && rpcs.contains("Authorize/Authorize"));
        assert!(!rpcs.iter().any(|rpc| rpc.starts_with("Authorization/")));
        for (path, name) in [
            ("/keyward.v1.KeyAdmin/CreateKey", "KeyAdmin/CreateKey"),
            ("/grpc.health.v1.Health/Check", ""),
            ("/keyward.", ""),
            ("", ""),
        ] {
            assert_eq!(rpc(path), name, "{path}");
        }
    }
}
