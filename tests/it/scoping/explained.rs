//! `explain` on `Authorize`: what each check of a decision came to.

use keyward::rpc::pb::{
    self, AuthorizeRequest, AuthorizeResponse, BatchAuthorizeRequest, CheckOutcome,
    CreateKeyRequest, Key, Reason, RegenerateKeyRequest,
};
use tokio_stream::StreamExt;
use tonic::Code;

use super::{
    World,
    explaining::{checks, explain, restricted, variations},
    may, texts,
};
use crate::support::{
    client::{
        Explainer, Made, assert_invalid, assert_not_permitted, assert_status, new_admin_key,
        new_key, verdict,
    },
    eventually,
};

fn explained(request: AuthorizeRequest) -> AuthorizeRequest {
    AuthorizeRequest { explain: true, ..request }
}

impl World {
    fn explainer(&self) -> Explainer {
        self.writer.explainer_as(&self.database.root_token)
    }

    /// A client with a new admin key, which both replicas know.
    async fn explainer_with(&mut self, request: CreateKeyRequest) -> (Explainer, Made) {
        let made = self.key(request).await;
        self.verdict(may("", "x")).await;
        (self.writer.explainer_as(&made.token), made)
    }
}

async fn answer(client: &mut Explainer, request: AuthorizeRequest) -> AuthorizeResponse {
    client.authorize(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn an_explanation_agrees_with_the_decision_and_with_that_of_the_key() {
    let mut world = World::new().await;
    let (made, good) = restricted(&mut world).await;
    let mut client = world.explainer();
    for (request, failed) in variations(&good) {
        let decided = world.ask(request.clone()).await;
        let mut told = answer(&mut client, explained(request.clone())).await;
        let explanation = told.explanation.take().unwrap();
        told.data_age = None;
        told.decision_id = String::new();
        assert_eq!(told, decided, "all else is as it is without");
        assert_eq!((explanation.allowed, explanation.reason), (decided.allowed, decided.reason));
        assert_eq!(checks(&explanation, CheckOutcome::Failed), failed);
        let said = explain(&mut world.admin, &made.key.id, Some(request)).await.unwrap();
        assert_eq!(said.explanation, Some(explanation));
    }
    // who does not ask for one gets none
    assert_eq!(answer(&mut client, good).await.explanation, None);
    for (token, reason) in [
        ("", Reason::KeyMissing),
        ("kw_prod_x", Reason::KeyMalformed),
        ("unheard-of", Reason::KeyUnknown),
    ] {
        let told = answer(&mut client, explained(may(token, "x"))).await;
        let explanation = told.explanation.unwrap();
        assert_eq!((explanation.reason, told.reason), (reason.into(), reason.into()));
        assert_eq!(checks(&explanation, CheckOutcome::Failed), "KEY");
        assert_eq!(explanation.checks.len(), 1);
    }
}

#[tokio::test]
async fn explanations_are_for_the_admin_listener() {
    let mut world = World::new().await;
    let made = world.key(new_key("Key")).await;
    let request = explained(may(&made.token, "systems.read"));
    assert_invalid(Err::<(), _>(world.refuses(request.clone()).await), &["explain"]);
    let [_, asker] = &mut world.askers;
    let requests = vec![may(&made.token, "systems.read"), request.clone()];
    let batch = BatchAuthorizeRequest { requests };
    assert_invalid(asker.0.batch_authorize(batch).await, &["requests[1].explain"]);
    let requests = tokio_stream::iter([may("", "systems.read"), request]);
    let mut answers = asker.0.stream_authorize(requests).await.unwrap().into_inner();
    assert_eq!(verdict(&answers.next().await.unwrap().unwrap()), "401 KEY_MISSING");
    assert_invalid(answers.next().await.unwrap(), &["explain"]);
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn batches_and_streams_are_explained_too() {
    let mut world = World::new().await;
    let (_, good) = restricted(&mut world).await;
    let mut client = world.explainer();
    world.ask(good.clone()).await;
    let all = variations(&good);
    let requests: Vec<_> = all.iter().map(|(request, _)| explained(request.clone())).collect();
    let batch = BatchAuthorizeRequest { requests: requests.clone() };
    let batch = client.batch_authorize(batch).await.unwrap().into_inner().responses;
    let stream = client.stream_authorize(tokio_stream::iter(requests)).await.unwrap();
    let stream: Result<Vec<_>, _> = stream.into_inner().collect().await;
    for responses in [batch, stream.unwrap()] {
        assert_eq!(responses.len(), all.len());
        for (response, (_, failed)) in responses.iter().zip(&all) {
            let explanation = response.explanation.as_ref().unwrap();
            assert_eq!(checks(explanation, CheckOutcome::Failed), *failed);
            assert_eq!(explanation.reason, response.reason);
        }
    }
}

#[tokio::test]
async fn who_may_not_read_keys_gets_no_decision_on_the_admin_listener() {
    let mut world = World::new().await;
    world.domain("tenant").await;
    let made = world.key(new_key("Key")).await;
    let of_tenant = CreateKeyRequest { domain: "tenant".into(), ..new_key("Key") };
    let of_tenant = world.key(of_tenant).await;
    let token = made.token.clone();
    let requests = [may(&token, "systems.read"), explained(may(&token, "systems.read"))];
    for request in &requests {
        for no_key in ["", "unheard-of", &token] {
            let mut client = world.writer.explainer_as(no_key);
            let refused = client.authorize(request.clone()).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
            let batch = BatchAuthorizeRequest { requests: vec![request.clone()] };
            let refused = client.batch_authorize(batch).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
            let stream = tokio_stream::iter([request.clone()]);
            let refused = client.stream_authorize(stream).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
        }
    }
    let permissions = ["keyward.keys.write", "keyward.admins", "keyward.users"];
    let (mut other, _) = world.explainer_with(new_admin_key("Other", &permissions)).await;
    let delegation = pb::Delegation { domains: texts(&["tenant"]), ceiling: vec![] };
    let request = CreateKeyRequest {
        delegation: Some(delegation),
        ..new_admin_key("Delegate", &["keyward.keys.read"])
    };
    let (mut delegate, _) = world.explainer_with(request).await;
    for request in requests {
        assert_not_permitted(other.authorize(request.clone()).await, "keyward.keys.read");
        let refused = delegate.authorize(request.clone()).await;
        assert_status(refused, Code::PermissionDenied, "DOMAIN_NOT_DELEGATED");
        let own = AuthorizeRequest { key: of_tenant.token.clone(), ..request };
        assert!(answer(&mut delegate, own).await.allowed);
    }
}

#[tokio::test]
async fn a_stream_ends_when_its_caller_may_ask_no_more() {
    let mut world = World::new().await;
    let made = world.key(new_key("Key")).await;
    let request = explained(may(&made.token, "systems.read"));
    for (code, reason) in
        [(Code::PermissionDenied, "PERMISSION_MISSING"), (Code::Unauthenticated, "KEY_INACTIVE")]
    {
        let reader = new_admin_key("Reader", &["keyward.keys.read"]);
        let (mut client, admin_key) = world.explainer_with(reader).await;
        let (send, requests) = tokio::sync::mpsc::channel(1);
        let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
        send.send(request.clone()).await.unwrap();
        let mut answers = client.stream_authorize(requests).await.unwrap().into_inner();
        assert!(answers.next().await.unwrap().unwrap().explanation.unwrap().allowed);
        if code == Code::PermissionDenied {
            let key = Key { permissions: texts(&["keyward.keys.write"]), ..Key::default() };
            world.change_key(&admin_key, key, &["permissions"]).await;
        } else {
            let id = admin_key.key.id;
            let request = pb::DeactivateKeyRequest { id, etag: String::new() };
            let stopped = world.admin.deactivate_key(request).await.unwrap();
            world.revision = stopped.get_ref().revision;
        }
        world.verdict(may("", "x")).await;
        send.send(request.clone()).await.unwrap();
        assert_status(answers.next().await.unwrap(), code, reason);
        assert!(answers.next().await.is_none());
    }
}

/// A secret that is not good any more, or not here, says nothing of the key that it was of.
#[tokio::test]
async fn nothing_is_told_of_a_key_that_the_decision_does_not_know() {
    let mut world = World::new().await;
    let made = world.key(new_key("Replaced")).await;
    let overlap = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    let id = made.key.id.clone();
    let request = RegenerateKeyRequest { id, overlap, ..RegenerateKeyRequest::default() };
    world.revision = world.admin.regenerate_key(request).await.unwrap().get_ref().revision;
    let mut waiting = world.writer.asker();
    waiting.until(&made.token, "401 KEY_UNKNOWN").await;
    let (mut client, admin_key) =
        world.explainer_with(new_admin_key("Reader", &["keyward.keys.read"])).await;
    for token in [&made.token, &admin_key.token, &world.database.root_token] {
        let told = answer(&mut client, explained(may(token, "systems.read"))).await;
        assert_eq!((verdict(&told).as_str(), told.key_id.as_str()), ("401 KEY_UNKNOWN", ""));
        let explanation = told.explanation.unwrap();
        assert_eq!(checks(&explanation, CheckOutcome::Failed), "KEY");
        assert_eq!(explanation.checks.len(), 1, "{explanation:#?}");
        assert!(!format!("{explanation:?}").contains("key_"), "{explanation:#?}");
    }
}

#[tokio::test]
async fn what_an_operator_asks_is_no_use() {
    let mut world = World::with(&["--usage-flush-interval", "20ms"]).await;
    let tried = world.key(new_key("Tried")).await;
    let used = world.key(new_key("Used")).await;
    let mut client = world.explainer();
    for request in [may(&tried.token, "systems.read"), explained(may(&tried.token, "systems.read"))]
    {
        assert!(answer(&mut client, request).await.allowed);
    }
    assert!(world.ask(may(&used.token, "systems.read")).await.allowed);
    eventually("the use is reported", async || world.get(&used).await.last_used_time).await;
    assert_eq!(world.get(&tried).await.last_used_time, None);
}
