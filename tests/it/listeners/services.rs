//! Which services are where.

use std::net::SocketAddr;

use keyward::rpc::pb::{
    ListAuditEventsRequest, ListDomainsRequest, ListKeysRequest, WhoAmIRequest,
    access_admin_client::AccessAdminClient, authorize_client::AuthorizeClient,
    insight_client::InsightClient, key_admin_client::KeyAdminClient,
    self_service_client::SelfServiceClient,
};
use prost::Message;
use prost_types::FileDescriptorProto;
use tokio_stream::{StreamExt, iter};
use tonic::{Code, Status};

use crate::support::{
    client::may_read,
    database::Database,
    server::{Server, connect},
};

/// One version of the reflection protocol: its generated modules differ in nothing but their name.
macro_rules! reflection {
    ($name:ident, $version:ident) => {
        mod $name {
            use tonic_reflection::pb::$version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest,
                server_reflection_response::MessageResponse,
            };

            use super::*;

            async fn ask(
                at: SocketAddr,
                questions: Vec<MessageRequest>,
            ) -> Result<Vec<MessageResponse>, Status> {
                let requests = questions.into_iter().map(|question| ServerReflectionRequest {
                    host: String::new(),
                    message_request: Some(question),
                });
                let requests = iter(requests.collect::<Vec<_>>());
                let mut client = ServerReflectionClient::new(connect(at));
                let answers = client.server_reflection_info(requests).await?.into_inner();
                let answers = answers.map(|answer| Ok(answer?.message_response.unwrap()));
                answers.collect().await
            }

            pub(super) async fn services(at: SocketAddr) -> Result<Vec<String>, Status> {
                let listing = MessageRequest::ListServices(String::new());
                match ask(at, vec![listing]).await?.pop().unwrap() {
                    MessageResponse::ListServicesResponse(list) => {
                        let mut names: Vec<_> = list.service.into_iter().map(|s| s.name).collect();
                        names.sort_unstable();
                        Ok(names)
                    }
                    other => panic!("{other:?}"),
                }
            }

            pub(super) async fn files(at: SocketAddr, symbols: &[String]) -> Vec<Vec<Vec<u8>>> {
                let symbols = symbols.iter().cloned();
                let questions = symbols.map(MessageRequest::FileContainingSymbol).collect();
                let answers = ask(at, questions).await.unwrap();
                let files = answers.into_iter().map(|answer| match answer {
                    MessageResponse::FileDescriptorResponse(files) => files.file_descriptor_proto,
                    other => panic!("{other:?}"),
                });
                files.collect()
            }
        }
    };
}
reflection!(version_1, v1);
reflection!(version_1_alpha, v1alpha);

const SERVICES: [&str; 6] = [
    "grpc.health.v1.Health",
    "keyward.v1.AccessAdmin",
    "keyward.v1.Authorize",
    "keyward.v1.Insight",
    "keyward.v1.KeyAdmin",
    "keyward.v1.SelfService",
];

/// Asserts that these are our services and reflection itself, each described by the first file of its answer.
fn assert_described(services: &[String], files: &[Vec<Vec<u8>>]) {
    let ours: Vec<_> =
        services.iter().filter(|name| !name.starts_with("grpc.reflection.")).collect();
    assert_eq!(ours, SERVICES);
    assert_eq!(files.len(), services.len());
    for (service, files) in services.iter().zip(files) {
        let file = FileDescriptorProto::decode(files[0].as_slice()).unwrap();
        let package = file.package().to_owned();
        let mut named = file.service.iter();
        let found = named.find(|one| format!("{package}.{}", one.name()) == *service);
        assert!(!found.unwrap().method.is_empty(), "{service}");
    }
}

#[tokio::test]
async fn reflection_on_the_admin_listener_describes_all_services() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let services = version_1::services(server.admin).await.unwrap();
    assert_described(&services, &version_1::files(server.admin, &services).await);
    let services = version_1_alpha::services(server.admin).await.unwrap();
    let files = version_1_alpha::files(server.admin, &services).await;
    assert_described(&services, &files);
}

#[tokio::test]
async fn each_listener_has_its_services_and_no_other() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let (authorize, admin) = (server.authorize, server.admin);
    let mut decider = AuthorizeClient::new(connect(admin));
    let mut manager = KeyAdminClient::new(connect(authorize));
    let mut access = AccessAdminClient::new(connect(authorize));
    let mut holder = SelfServiceClient::new(connect(authorize));
    let mut insight = InsightClient::new(connect(authorize));
    let refused = decider.authorize(may_read("")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "operators may ask for explanations there");
    let refusals = [
        manager.list_keys(ListKeysRequest::default()).await.err(),
        access.list_domains(ListDomainsRequest::default()).await.err(),
        holder.who_am_i(WhoAmIRequest::default()).await.err(),
        insight.list_audit_events(ListAuditEventsRequest::default()).await.err(),
        version_1::services(authorize).await.err(),
        version_1_alpha::services(authorize).await.err(),
    ];
    let codes = refusals.map(|refusal| refusal.map(|status| status.code()));
    assert_eq!(codes, [Some(Code::Unimplemented); 6]);
}
