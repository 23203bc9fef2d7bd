//! gRPC with a client and a server of the field: unary and streaming calls, and refusals as a status and a message.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use testkit::http::PATIENCE;
use testkit::issuer::Issuer;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::start_ready;

/// A health service behind a sidecar.
struct Scene {
    issuer: Issuer,
    sidecar: Sidecar,
    reporter: HealthReporter,
}

impl Scene {
    async fn set(more: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let reporter = HealthReporter::new();
        let service = HealthServer::new(HealthService::from_health_reporter(reporter.clone()));
        let upstream = Server::builder().add_service(service);
        tokio::spawn(upstream.serve_with_incoming(TcpListenerStream::new(listener)));
        Self::before(&address.to_string(), reporter, more)
    }

    fn before(upstream: &str, reporter: HealthReporter, more: &str) -> Self {
        let issuer = Issuer::start("https://auth.internal.example");
        let setup = Setup::before_address(upstream).upstream("protocol = \"h2c\"");
        let sidecar = start_ready(
            &setup
                .trusting_with(&issuer, &format!("leeway = \"0s\"\nkeys = {{ url = \"{}\" }}", issuer.jwks_url()))
                .with(more),
        );
        Self { issuer, sidecar, reporter }
    }

    async fn client(&self) -> HealthClient<Channel> {
        let channel = Channel::from_shared(format!("http://{}", self.sidecar.listen())).unwrap();
        HealthClient::new(channel.connect().await.unwrap())
    }

    fn asking(&self, token: Option<&str>) -> Request<HealthCheckRequest> {
        let mut request = Request::new(HealthCheckRequest { service: "email".to_owned() });
        if let Some(token) = token {
            let value: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        request
    }

    fn token(&self) -> String {
        self.issuer.mint(&self.issuer.claims("billing", AUDIENCE))
    }

    async fn report(&self, status: ServingStatus) {
        self.reporter.set_service_status("email", status).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_with_a_token_is_answered_by_the_service() {
    let scene = Scene::set("").await;
    scene.report(ServingStatus::Serving).await;
    let mut client = scene.client().await;
    let answer = client.check(scene.asking(Some(&scene.token()))).await.unwrap();
    assert_eq!(answer.into_inner().status, 1);
    let audit = scene.sidecar.audit(0).unwrap();
    assert_eq!((&audit["caller"], &audit["status"]), (&json!("billing"), &json!(200)));
    assert_eq!(audit["path"], "/grpc.health.v1.Health/Check");

    let mut unknown = scene.asking(Some(&scene.token()));
    unknown.get_mut().service = "nobody".to_owned();
    let status = client.check(unknown).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "the service's own status comes through, in its trailers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_refused_gets_a_status_and_the_reason() {
    let scene = Scene::set("").await;
    let mut client = scene.client().await;
    let refused = |status: &Status, code: Code, reason: &str| {
        assert_eq!(status.code(), code, "{status:?}");
        assert!(status.message().starts_with(reason), "{status:?}");
    };
    refused(&client.check(scene.asking(None)).await.unwrap_err(), Code::Unauthenticated, "token_missing: ");
    let mut claims = scene.issuer.claims("billing", AUDIENCE);
    claims["exp"] = json!(1_000_000_000);
    let expired = scene.issuer.mint(&claims);
    refused(&client.check(scene.asking(Some(&expired))).await.unwrap_err(), Code::Unauthenticated, "token_expired: ");
    refused(&client.watch(scene.asking(None)).await.unwrap_err(), Code::Unauthenticated, "token_missing: ");
    // Each stream is recorded by itself, once its answer has left, so the records may come in another order.
    let expired = scene.sidecar.audit_where(|record| record["reason"] == "token_expired").expect("it is in the audit");
    assert_eq!((&expired["decision"], &expired["caller"]), (&json!("reject"), &json!(null)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_a_service_that_is_down_may_be_tried_again() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let scene = Scene::before(&closed.to_string(), HealthReporter::new(), "");
    let mut client = scene.client().await;
    let status = client.check(scene.asking(Some(&scene.token()))).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.message().starts_with("upstream_unreachable: "), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_brings_each_message_as_it_comes() {
    let scene = Scene::set("").await;
    scene.report(ServingStatus::NotServing).await;
    let mut stream = scene.client().await.watch(scene.asking(Some(&scene.token()))).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().status, 2);
    for (status, number) in [(ServingStatus::Serving, 1), (ServingStatus::NotServing, 2)] {
        scene.report(status).await;
        let message = tokio::time::timeout(PATIENCE, stream.message()).await.expect("it comes at once");
        assert_eq!(message.unwrap().unwrap().status, number);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_outlives_its_token_is_ended_if_that_is_asked_for() {
    let scene = Scene::set("[limits]\nclose_at_expiry = \"always\"").await;
    scene.report(ServingStatus::Serving).await;
    let mut claims = scene.issuer.claims("billing", AUDIENCE);
    claims["exp"] = json!(claims["iat"].as_u64().unwrap() + 3);
    let began = Instant::now();
    let token = scene.issuer.mint(&claims);
    let mut stream = scene.client().await.watch(scene.asking(Some(&token))).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().status, 1);
    // Nothing more is said, and it is ended all the same.
    let next = tokio::time::timeout(PATIENCE, stream.message()).await.expect("it goes on after its token");
    let status = next.expect_err("it has no good end");
    assert!(began.elapsed() >= Duration::from_secs(2), "not before its time: {status:?}");
    let audit = scene.sidecar.audit_where(|record| record["reason"] == "token_expired").expect("it is in the audit");
    assert_eq!(audit["caller"], "billing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_its_client_cancels_is_recorded_as_forwarded_and_nobodys_fault() {
    let scene = Scene::set("").await;
    scene.report(ServingStatus::Serving).await;
    let mut client = scene.client().await;
    let mut stream = client.watch(scene.asking(Some(&scene.token()))).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().status, 1);
    // Dropping it resets the stream with CANCEL; the connection stays.
    drop(stream);
    let audit = scene.sidecar.audit_where(|record| record["path"] == "/grpc.health.v1.Health/Watch").unwrap();
    assert_eq!((&audit["decision"], &audit["reason"]), (&json!("forward"), &json!(null)), "{audit:#}");
    assert_eq!((&audit["caller"], &audit["status"]), (&json!("billing"), &json!(200)));
    let refused = client.watch(scene.asking(None)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "a refusal beside it keeps its reason");
    let audit = scene.sidecar.audit_where(|record| record["decision"] == "reject").unwrap();
    assert_eq!(audit["reason"], "token_missing");
    let metrics = scene.sidecar.ask_admin("/metrics").text();
    let counted =
        |reason: &str| metrics.lines().find(|line| line.contains(&format!("reason=\"{reason}\""))).map(str::to_owned);
    for reason in ["request_malformed", "internal_error", "upstream_unreachable", "upstream_timeout"] {
        let line = counted(reason).unwrap_or_default();
        assert!(line.is_empty() || line.ends_with(" 0"), "{line}");
    }
}
