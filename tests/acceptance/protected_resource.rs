//! What a client without a token learns from the service itself (RFC 9728).

use serde_json::{Value, json};
use tokio::net::TcpStream;

use testkit::refusal::assert_unauthorized;
use testkit::request::Request;
use testkit::stage::Stage;

const RESOURCE: &str = "https://mail.example/v1";
const PATH: &str = "/.well-known/oauth-protected-resource/v1";

fn stage() -> Stage {
    Stage::set_with(|setup| setup.with(&format!("[protected_resource]\nresource = \"{RESOURCE}\"\n")))
}

fn assert_is_metadata(body: &[u8]) {
    let metadata: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(metadata["resource"], RESOURCE);
    assert_eq!(metadata["authorization_servers"], json!(["https://auth.internal.example"]));
    assert_eq!(metadata["bearer_methods_supported"], json!(["header"]));
    assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], false);
}

#[test]
fn metadata_of_the_resource_is_answered_without_a_token_and_without_the_upstream() {
    let stage = stage();
    // A body that nobody asked for is not in the way of what comes after it.
    let mut connection = stage.sidecar.connect();
    for body in [&b""[..], b"unasked"] {
        let answer = connection.exchange(Request::new("GET", PATH).body(body).bytes()).unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("max-age=300"));
        assert_is_metadata(answer.text().as_bytes());
    }
    let query = stage.ask(&Request::new("GET", &format!("{PATH}?a=b")).bearer("not.a.token"));
    assert_eq!(query.status(), 200, "a token decides nothing here: {}", query.text());
    stage.assert_nothing_received();
    let record = stage.audit(0);
    assert_eq!(
        (&record["decision"], &record["status"], &record["path"]),
        (&json!("pass"), &json!(200), &json!(PATH)),
        "{record}"
    );
    assert!(record.get("caller").is_none_or(Value::is_null), "{record}");
    stage.end();
}

#[test]
fn every_other_request_needs_a_token_and_is_told_where_the_metadata_is() {
    let stage = stage();
    let metadata = format!("resource_metadata=\"https://mail.example{PATH}\"");
    for (method, path) in [
        ("POST", PATH),
        ("OPTIONS", PATH),
        ("GET", "/.well-known/oauth-protected-resource"),
        ("GET", "/.well-known/oauth-protected-resource/v1/"),
        ("GET", "/.well-known/oauth-protected-resource/%761"),
        ("GET", "/v1"),
    ] {
        let refused = stage.ask(&Request::new(method, path));
        assert_unauthorized(&refused, "token_missing");
        let challenge = refused.header("www-authenticate").unwrap();
        assert!(challenge.ends_with(&metadata), "{method} {path}: {challenge}");
    }
    let refused = stage.ask(&Request::send().bearer(&stage.token_but("aud", json!("another"))));
    assert_unauthorized(&refused, "audience_mismatch");
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(challenge.contains(&format!(", {metadata}, error=\"invalid_token\"")), "{challenge}");
    stage.assert_nothing_received();
    // With a token it is the upstream's.
    let answer = stage.ask(&Request::send().to("POST", PATH).bearer(&stage.token()));
    assert_eq!(answer.status(), 404, "the email service knows no such path: {}", answer.text());
    assert_eq!(stage.only_received().callers(), ["billing"]);
    stage.end();
}

#[test]
fn without_a_resource_the_well_known_path_is_like_any_other() {
    let stage = Stage::set();
    let refused = stage.ask(&Request::new("GET", "/.well-known/oauth-protected-resource"));
    assert_unauthorized(&refused, "token_missing");
    assert!(!refused.header("www-authenticate").unwrap().contains("resource_metadata"));
    stage.assert_nothing_received();
    stage.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_answered_over_http2_too() {
    let stage = stage();
    let stream = TcpStream::connect(stage.sidecar.listen()).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    for (method, has_body) in [("GET", true), ("HEAD", false)] {
        client = client.ready().await.unwrap();
        let request = http::Request::builder().method(method).uri(format!("http://mail.example{PATH}"));
        let (answer, _) = client.send_request(request.body(()).unwrap(), true).unwrap();
        let (head, mut body) = answer.await.unwrap().into_parts();
        assert_eq!(head.status, 200);
        let mut text = Vec::new();
        while let Some(piece) = body.data().await {
            text.extend_from_slice(&piece.unwrap());
        }
        assert_eq!(!text.is_empty(), has_body, "{method}");
        if has_body {
            assert_is_metadata(&text);
        }
    }
    stage.assert_nothing_received();
    assert_eq!(stage.audit(1)["decision"], "pass");
}
