//! Fetching from a server that does as it is told, over real sockets.

mod server;
mod tls;

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;

use self::server::{Reply, Server};
use self::tls::{Authority, Leaf};
use super::*;
use crate::jwks_refresh::error::BODY_MAX;
use crate::keys::source::{AddressError, ClientCertificate, FetchUrl, JwksHost};

const DOCUMENT: &str = r#"{"keys":[]}"#;

/// Fetches once, as a test's patience allows.
async fn fetch(server: &mut KeyServer, cause: Cause, etag: Option<Validators>) -> Result<Fetched, FetchError> {
    timeout(Duration::from_secs(20), server.fetch(cause, etag.as_ref())).await.expect("an end")
}

async fn fetched(settings: FetchSettings, start: Start) -> Result<Vec<u8>, FetchError> {
    match fetch(&mut KeyServer::new(start, settings), Cause::Schedule, None).await? {
        Fetched::Document { document, .. } => Ok(document),
        Fetched::NotModified { .. } => panic!("nothing was known"),
    }
}

fn address(text: &str, allow_http: bool) -> Url {
    FetchUrl::parse(text, allow_http).expect("a URL").as_url().clone()
}

fn keys(url: &str) -> Start {
    Start::Keys(address(url, true))
}

fn discovery(issuer: &str) -> Start {
    Start::Discovery { issuer: issuer.to_owned(), base: address(issuer, true) }
}

/// Fetches from a server that answers everything with this.
async fn against(reply: Reply) -> Result<Vec<u8>, FetchError> {
    let server = Server::start(move |_| reply.clone());
    fetched(FetchSettings::default(), keys(&server.url("/keys"))).await
}

/// A directory with files for a test.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn put(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path
    }
}

#[tokio::test]
async fn a_document_comes_with_what_is_said_about_it() {
    let server = Server::start(|_| Reply::ok(DOCUMENT).with("ETag: \"v1\"").with("Cache-Control: max-age=60"));
    let mut keys = KeyServer::new(keys(&server.url("/keys")), FetchSettings::default());
    let answer = fetch(&mut keys, Cause::Schedule, None).await.expect("an answer");
    let Fetched::Document { document, validators, fresh_for } = answer else { panic!("a document") };
    assert_eq!(document, DOCUMENT.as_bytes());
    assert_eq!(fresh_for, Some(Duration::from_secs(60)));
    assert_eq!(validators.map(|validators| validators.etag), Some(HeaderValue::from_static("\"v1\"")));
    assert!(server.seen()[0].starts_with("GET /keys HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_known_version_is_asked_for_by_its_tag_and_confirmed() {
    let server = Server::start(|head| match head.contains("if-none-match: \"v1\"") {
        true => Reply::status("304 Not Modified").with("Cache-Control: max-age=7"),
        false => Reply::ok(DOCUMENT),
    });
    let url = address(&server.url("/keys"), false);
    let known = Validators { url: url.clone(), etag: HeaderValue::from_static("\"v1\"") };
    let mut keys = KeyServer::new(Start::Keys(url), FetchSettings::default());
    let answer = fetch(&mut keys, Cause::Schedule, Some(known.clone())).await;
    assert!(matches!(answer, Ok(Fetched::NotModified { fresh_for: Some(time) }) if time == Duration::from_secs(7)));

    // A request that lacks a key wants the document itself, past every cache.
    let answer = fetch(&mut keys, Cause::Request, Some(known.clone())).await;
    assert!(matches!(answer, Ok(Fetched::Document { .. })));
    assert!(server.seen()[1].contains("cache-control: no-cache\r\n"));
    assert!(!server.seen()[0].contains("cache-control"));

    // A tag belongs to its address.
    let elsewhere = Validators { url: Url::parse("https://elsewhere.example/").expect("a URL"), ..known };
    assert!(matches!(fetch(&mut keys, Cause::Schedule, Some(elsewhere)).await, Ok(Fetched::Document { .. })));
}

#[tokio::test]
async fn every_status_but_200_is_a_failure() {
    for status in
        ["204 No Content", "206 Partial Content", "304 Not Modified", "401 Unauthorized", "404 Not Found", "500 Oh"]
    {
        let code = status[..3].parse().expect("a number");
        assert_eq!(against(Reply::status(status)).await, Err(FetchError::Status(code)));
    }
    assert_eq!(against(Reply::ok(DOCUMENT)).await, Ok(DOCUMENT.into()));
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_is_no_http_is_a_failure() {
    let head = "HTTP/1.1 200 OK\r\n";
    for raw in [
        "",
        "220 mail.example ESMTP\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        &format!("{head}Content-Length: 100\r\n\r\n{DOCUMENT}"),
        &format!("{head}Transfer-Encoding: chunked\r\n\r\nb\r\n{DOCUMENT}\r\n"),
        &format!("{head}Content-Length: 5\r\nContent-Length: 6\r\n\r\n{DOCUMENT}"),
    ] {
        assert_eq!(against(Reply::Raw(raw.into())).await, Err(FetchError::Protocol), "{raw:?}");
    }
}

#[tokio::test]
async fn an_endless_body_is_read_up_to_a_bound() {
    assert_eq!(against(Reply::Endless { chunked: true }).await, Err(FetchError::TooLarge));
    assert_eq!(against(Reply::Endless { chunked: false }).await, Err(FetchError::TooLarge));
    let largest = "x".repeat(BODY_MAX);
    assert_eq!(against(Reply::ok(&largest)).await.map(|body| body.len()), Ok(BODY_MAX));
    assert_eq!(against(Reply::ok(&(largest + "x"))).await, Err(FetchError::TooLarge));
}

#[tokio::test]
async fn endless_headers_are_not_read() {
    assert_eq!(against(Reply::EndlessHead).await, Err(FetchError::Protocol));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_from_one_that_fails() {
    let gone = Server::start(|_| Reply::Hang).url("/");
    assert_eq!(fetched(FetchSettings::default(), keys(&gone)).await, Err(FetchError::ConnectionRefused));
}

#[tokio::test]
async fn redirects_are_followed_up_to_a_bound() {
    let server = Server::start(|head| match head {
        head if head.starts_with("GET /4 ") => Reply::to("/3"),
        head if head.starts_with("GET /3 ") => Reply::to("/2"),
        head if head.starts_with("GET /2 ") => Reply::to("/1"),
        head if head.starts_with("GET /1 ") => Reply::to("/keys"),
        head if head.starts_with("GET /keys ") => Reply::ok(DOCUMENT),
        _ => Reply::to("/loop"),
    });
    let follow = async |path| fetched(FetchSettings::default(), keys(&server.url(path))).await;
    assert_eq!(follow("/3").await, Ok(DOCUMENT.into()));
    assert_eq!(follow("/4").await, Err(FetchError::TooManyRedirects));
    assert_eq!(follow("/loop").await, Err(FetchError::TooManyRedirects));
}

#[tokio::test]
async fn a_redirect_cannot_lead_to_an_address_that_could_not_be_configured() {
    let to = |location: &str| against(Reply::to(location));
    assert_eq!(to("http://keys.example/").await, Err(FetchError::Redirect(AddressError::PlainHttp)));
    assert_eq!(to("http://user:secret@127.0.0.1/").await, Err(FetchError::Redirect(AddressError::Credentials)));
    // reqwest itself leaves these alone.
    assert!(to("file:///etc/passwd").await.is_err());
    assert!(to("http://[").await.is_err());
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_refused_even_to_this_host() {
    let files = Files::new();
    let authority = Authority::new();
    let plain = Server::start(|_| Reply::ok(DOCUMENT));
    let location = plain.url("/keys");
    let server = Server::start_tls(authority.server(Leaf::Good), move |_| Reply::to(&location));
    let settings = FetchSettings {
        ca_file: Some(files.put("ca.pem", &authority.pem())),
        allow_http: true,
        ..FetchSettings::default()
    };
    let refused = Err(FetchError::Redirect(AddressError::Downgrade));
    assert_eq!(fetched(settings, keys(&server.url("/keys"))).await, refused);
    assert!(plain.seen().is_empty());
}

#[tokio::test]
async fn a_certificate_must_be_valid_for_the_host_and_vouched_for_by_a_trusted_authority() {
    let (files, ours, other) = (Files::new(), Authority::new(), Authority::new());
    let settings = FetchSettings { ca_file: Some(files.put("ca.pem", &ours.pem())), ..FetchSettings::default() };
    let from = async |config| {
        let server = Server::start_tls(config, |_| Reply::ok(DOCUMENT));
        (fetched(settings.clone(), keys(&server.url("/keys"))).await, server.seen().len())
    };
    assert_eq!(from(ours.server(Leaf::Good)).await, (Ok(DOCUMENT.into()), 1));
    let cases = [
        (ours.server(Leaf::Expired), "it has expired"),
        (ours.server(Leaf::ForAnotherHost), "it is for another host"),
        (other.server(Leaf::Good), "its authority is not trusted"),
    ];
    for (config, why) in cases {
        assert_eq!(from(config).await, (Err(FetchError::Certificate(why)), 0));
    }
}

#[tokio::test]
async fn without_a_ca_file_only_the_systems_authorities_are_trusted() {
    let server = Server::start_tls(Authority::new().server(Leaf::Good), |_| Reply::ok(DOCUMENT));
    let error = fetched(FetchSettings::default(), keys(&server.url("/keys"))).await.expect_err("it is not trusted");
    // Without any authority on the system there is no client for https at all.
    assert!(matches!(error, FetchError::Certificate(_) | FetchError::Setup), "{error}");
}

#[tokio::test]
async fn authorities_that_change_are_used_from_the_next_fetch_on() {
    let (files, old, new) = (Files::new(), Authority::new(), Authority::new());
    let server = Server::start_tls(new.server(Leaf::Good), |_| Reply::ok(DOCUMENT));
    let settings = FetchSettings { ca_file: Some(files.put("ca.pem", &old.pem())), ..FetchSettings::default() };
    let mut keys = KeyServer::new(keys(&server.url("/keys")), settings);
    assert!(fetch(&mut keys, Cause::Schedule, None).await.is_err());
    files.put("ca.pem", &(old.pem() + &new.pem()));
    assert!(fetch(&mut keys, Cause::Schedule, None).await.is_ok());
    files.put("ca.pem", &old.pem());
    assert!(fetch(&mut keys, Cause::Schedule, None).await.is_err(), "no connection outlives its trust");
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let files = Files::new();
    let server = Server::start(|_| Reply::ok(DOCUMENT));
    let try_with = async |settings| fetched(settings, keys(&server.url("/keys"))).await;
    let settings = |path| FetchSettings { ca_file: Some(path), ..FetchSettings::default() };
    let error = |what, why| Err(FetchError::File { what, why });
    assert_eq!(try_with(settings(files.0.path().join("none"))).await, error("ca_file", FileError::Missing));
    assert_eq!(try_with(settings(files.0.path().to_owned())).await, error("ca_file", FileError::NotAFile));
    assert_eq!(try_with(settings(files.put("ca", "garbage"))).await, error("ca_file", FileError::Content));
    for content in ["", " \n", "two words", "two\nlines", "caf\u{e9}"] {
        let path = files.put("token", content);
        let settings = FetchSettings { token_file: Some(path), ..FetchSettings::default() };
        assert_eq!(try_with(settings).await, error("token_file", FileError::Content), "{content:?}");
    }
    let client = ClientCertificate { certificate: files.put("cert", ""), key: files.put("key", "") };
    let settings = FetchSettings { client: Some(client), ..FetchSettings::default() };
    assert_eq!(try_with(settings).await, error("client_cert", FileError::Content));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_bearer_token_is_read_at_each_fetch() {
    let files = Files::new();
    let server = Server::start(|_| Reply::ok(DOCUMENT));
    let settings = FetchSettings { token_file: Some(files.put("token", "first\n")), ..FetchSettings::default() };
    let mut keys = KeyServer::new(keys(&server.url("/keys")), settings);
    for token in ["first", "second"] {
        files.put("token", &format!("{token}\n"));
        assert!(fetch(&mut keys, Cause::Schedule, None).await.is_ok());
    }
    assert!(server.seen()[0].contains("authorization: Bearer first\r\n"));
    assert!(server.seen()[1].contains("authorization: Bearer second\r\n"));
}

#[tokio::test]
async fn a_bearer_token_is_shown_to_no_host_that_the_configuration_does_not_name() {
    let files = Files::new();
    let token_file = Some(files.put("token", "secret"));
    let settings = FetchSettings { token_file, ..FetchSettings::default() };
    let other = Server::start(|_| Reply::ok(DOCUMENT));
    let elsewhere = other.url("/keys");

    let location = elsewhere.clone();
    let redirecting = Server::start(move |_| Reply::to(&location));
    assert!(fetched(settings.clone(), keys(&redirecting.url("/keys"))).await.is_ok());

    let issuer = Server::discovering(&elsewhere);
    assert!(fetched(settings.clone(), discovery(&issuer.url(""))).await.is_ok());
    assert!(issuer.seen()[0].contains("secret"), "the configured host sees it");
    assert_eq!(other.seen().len(), 2);
    assert!(other.seen().iter().all(|head| !head.contains("secret")), "and no other does");

    // The override names a host in the configuration.
    let issuer = Server::discovering("http://127.0.0.1:1/keys");
    let jwks_host = JwksHost::parse(other.host()).ok();
    assert!(fetched(FetchSettings { jwks_host, ..settings }, discovery(&issuer.url(""))).await.is_ok());
    assert!(other.seen()[2].contains("secret"));
}

#[tokio::test]
async fn a_client_certificate_is_presented_where_one_is_asked_for() {
    let (files, authority) = (Files::new(), Authority::new());
    let server = Server::start_tls(authority.server_for_clients(), |_| Reply::ok(DOCUMENT));
    let settings = FetchSettings { ca_file: Some(files.put("ca.pem", &authority.pem())), ..FetchSettings::default() };
    assert!(fetched(settings.clone(), keys(&server.url("/keys"))).await.is_err());

    let (certificate, key) = authority.client();
    let client =
        ClientCertificate { certificate: files.put("client.pem", &certificate), key: files.put("key.pem", &key) };
    let settings = FetchSettings { client: Some(client), ..settings };
    assert_eq!(fetched(settings, keys(&server.url("/keys"))).await, Ok(DOCUMENT.into()));
}

#[tokio::test]
async fn discovery_leads_to_the_keys_and_a_waiting_request_skips_it() {
    let server = Server::discovering("/keys");
    let mut keys = KeyServer::new(discovery(&server.url("")), FetchSettings::default());
    for cause in [Cause::Schedule, Cause::Request, Cause::Schedule] {
        assert!(fetch(&mut keys, cause, None).await.is_ok());
    }
    let paths: Vec<_> =
        server.seen().iter().map(|head| head.split(' ').nth(1).unwrap_or_default().to_owned()).collect();
    let openid = "/.well-known/openid-configuration";
    assert_eq!(paths, [openid, "/keys", "/keys", openid, "/keys"]);
}

#[tokio::test]
async fn discovery_falls_back_on_the_oauth_document_only_if_there_is_no_other() {
    let oauth = |status: &'static str| {
        Server::start_knowing_itself(move |head, own| match head {
            head if head.starts_with("GET /.well-known/oauth-authorization-server/tenant ") => {
                Reply::ok(&format!(r#"{{"issuer":"{own}/tenant","jwks_uri":"{own}/keys"}}"#))
            }
            head if head.starts_with("GET /keys ") => Reply::ok(DOCUMENT),
            _ => Reply::status(status),
        })
    };
    let (missing, failing) = (oauth("404 Not Found"), oauth("500 Oh"));
    let from = async |server: &Server| fetched(FetchSettings::default(), discovery(&server.url("/tenant"))).await;
    assert_eq!(from(&missing).await, Ok(DOCUMENT.into()));
    assert_eq!(from(&failing).await, Err(FetchError::Status(500)));
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_leads_nowhere() {
    let server = Server::discovering("/keys");
    let other = server.url("/other");
    let settings = FetchSettings::default();
    let start = Start::Discovery { issuer: other, base: address(&server.url(""), false) };
    assert!(matches!(fetched(settings, start).await, Err(FetchError::OtherIssuer { .. })));
    assert_eq!(server.seen().len(), 1, "its keys are not fetched");
}

#[tokio::test]
async fn an_uncompressed_key_set_is_asked_for_and_what_comes_compressed_is_named() {
    let server = Server::start(|_| Reply::ok(DOCUMENT).with("Content-Encoding: identity"));
    assert!(fetched(FetchSettings::default(), keys(&server.url("/keys"))).await.is_ok());
    let head = server.seen().remove(0);
    assert!(head.contains("accept-encoding: identity\r\n"), "{head}");
    assert!(head.contains("accept: application/jwk-set+json, application/json, */*;q=0.1\r\n"), "{head}");
    for (sent, named) in [("gzip", "gzip"), ("BR", "br"), ("gzip, br", "other"), ("\"<secret>\"", "other")] {
        let answer = against(Reply::ok(DOCUMENT).with(&format!("Content-Encoding: {sent}"))).await;
        assert_eq!(answer, Err(FetchError::Encoded(named)));
    }
}

#[tokio::test]
async fn a_failure_says_what_was_asked_where_and_what_to_do() {
    let server = Server::start(|_| Reply::status("404 Not Found"));
    let failed = async |start| {
        let mut server = KeyServer::new(start, FetchSettings::default());
        let error = fetch(&mut server, Cause::Schedule, None).await.err().expect("a failure");
        error.detail(server.asked())
    };
    let url = server.url("/keys");
    let told = failed(keys(&format!("{url}?secret=1"))).await;
    let step = "no document there: check the URL; without a discovery document give keys.url";
    assert_eq!(told, format!("HTTP 404 (status), asked for the key set at {url}; {step}"));
    let told = failed(discovery(&server.url(""))).await;
    let oauth = server.url("/.well-known/oauth-authorization-server");
    assert_eq!(told, format!("HTTP 404 (status), asked for the discovery document at {oauth}; {step}"));
}
