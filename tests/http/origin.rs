//! What the upstream is told about where a request came from, and what of the answer stays between two hops.

use std::sync::Arc;

use testkit::http::{Answer, Connection};
use testkit::issuer::Issuer;
use testkit::request::Request;
use testkit::server::Server;
use testkit::setup::{AUDIENCE, Setup};
use testkit::stage::{Stage, start_ready};

fn claiming(stage: &Stage) -> Request {
    Request::send()
        .bearer(&stage.token())
        .header("X-Forwarded-For", "10.9.9.9, 10.1.1.1")
        .header("X-Forwarded-For", "10.2.2.2")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Host", "public.example")
        .header("Forwarded", "for=10.9.9.9")
        .header("X-Request-Id", "abc-123")
}

#[test]
fn without_a_trusted_proxy_only_what_is_seen_is_said() {
    let stage = Stage::set();
    assert_eq!(stage.ask(&claiming(&stage)).status(), 202);
    let head = stage.only_received().head;
    assert_eq!(head.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(head.all("x-forwarded-proto"), ["http"]);
    assert_eq!(head.all("x-forwarded-host"), ["email.internal.example"]);
    assert_eq!(head.all("forwarded"), Vec::<&str>::new());
    assert_eq!(head.all("via"), ["1.1 callgate"]);
    let id = stage.audit(0)["request_id"].as_str().unwrap().to_owned();
    assert_eq!(head.all("x-request-id"), [id.as_str()], "the upstream can be asked about the record");
    assert_ne!(id, "abc-123");
    stage.end();
}

#[test]
fn of_what_trusted_proxies_say_only_their_part_is_kept() {
    let more = "[forwarding]\ntrusted_hops = 1\nrequest_id = \"keep\"";
    let stage = Stage::set_with(|setup| setup.with(more));
    assert_eq!(stage.ask(&claiming(&stage)).status(), 202);
    let head = stage.only_received().head;
    assert_eq!(head.all("x-forwarded-for"), ["10.2.2.2, 127.0.0.1"], "the last proxy's word, and who that is");
    assert_eq!(head.all("x-forwarded-proto"), ["https"]);
    assert_eq!(head.all("x-forwarded-host"), ["public.example"]);
    assert_eq!(head.all("x-request-id"), ["abc-123"]);
    assert_eq!(stage.audit(0)["request_id"], "abc-123");
    let odd = Request::send()
        .bearer(&stage.token())
        .header("X-Forwarded-Proto", "gopher")
        .header("X-Forwarded-Host", "a/b")
        .header("X-Request-Id", "no spaces please");
    assert_eq!(stage.ask(&odd).status(), 202);
    let head = stage.email.received()[1].head.clone();
    assert_eq!(head.all("x-forwarded-proto"), ["http"]);
    assert_eq!(head.all("x-forwarded-host"), ["email.internal.example"]);
    assert_eq!(head.all("x-request-id"), [stage.audit(1)["request_id"].as_str().unwrap()]);
    stage.end();
}

#[test]
fn an_absolute_target_reaches_the_upstream_as_a_path() {
    let stage = Stage::set();
    let request = Request::send().bearer(&stage.token()).to("POST", "http://email.internal.example/send?a=b");
    assert_eq!(stage.ask(&request).status(), 202);
    assert_eq!(stage.only_received().head.start, "POST /send?a=b HTTP/1.1");
    assert_eq!(stage.only_received().head.header("host"), Some("email.internal.example"));
    stage.end();
}

#[test]
fn fields_of_the_upstreams_connection_stay_there_and_its_own_go_through() {
    let answer = answered_with(&[
        ("Connection", "keep-alive, X-Hop"),
        ("Keep-Alive", "timeout=5"),
        ("X-Hop", "1"),
        ("Proxy-Connection", "keep-alive"),
        ("Upgrade", "h2c"),
        ("Server", "nest"),
        ("X-Own", "kept"),
    ]);
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.head.all("connection"), ["keep-alive"], "ours");
    for gone in ["keep-alive", "x-hop", "proxy-connection", "upgrade"] {
        assert_eq!(answer.header(gone), None, "{gone}");
    }
    assert_eq!((answer.header("server"), answer.header("x-own")), (Some("nest"), Some("kept")));
}

fn answered_with(headers: &'static [(&'static str, &'static str)]) -> Answer {
    let upstream = Server::local(Arc::new(move |mut connection: Connection| {
        while connection.read_head()?.is_some() {
            connection.send_answer("200 OK", headers, b"ok")?;
        }
        Ok(())
    }));
    let upstream = upstream.unwrap();
    let issuer = Issuer::start("https://auth.internal.example");
    let sidecar = start_ready(&Setup::before(upstream.address()).trusting(&issuer));
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    sidecar.connect().exchange(Request::new("GET", "/").bearer(&token).bytes()).unwrap()
}
