//! TLS on the listener: both versions of HTTP, certificates that change while it runs, and clients that must show one.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use tempfile::TempDir;

use testkit::email_service::EmailService;
use testkit::http::PATIENCE;
use testkit::issuer::Issuer;
use testkit::request::Request;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::{Stage, start_ready};
use testkit::tls::Ca;

/// Writes a pair where the configuration says it is.
pub(crate) fn write(directory: &Path, pair: &(String, String)) {
    std::fs::write(directory.join("tls.key"), &pair.1).unwrap();
    std::fs::write(directory.join("tls.crt"), &pair.0).unwrap();
}

fn stage(ca: &Ca, client_ca: Option<&Ca>) -> (Stage, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &ca.issue());
    let at = |name: &str| directory.path().join(name).display().to_string();
    let mut table = format!("[listen.tls]\ncert = \"{}\"\nkey = \"{}\"\n", at("tls.crt"), at("tls.key"));
    if let Some(client_ca) = client_ca {
        std::fs::write(directory.path().join("clients.pem"), &client_ca.pem).unwrap();
        table.push_str(&format!("client_ca = \"{}\"\n", at("clients.pem")));
    }
    (Stage::set_with(|setup| setup.with(&table)), directory)
}

fn client(
    stage: &Stage,
    ca: &Ca,
    alpn: &str,
    pair: Option<&(String, String)>,
) -> StreamOwned<ClientConnection, TcpStream> {
    connect(stage.sidecar.listen(), client_config(ca, alpn, pair))
}

pub(crate) fn connect(address: SocketAddr, config: Arc<ClientConfig>) -> StreamOwned<ClientConnection, TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let connection = ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
    StreamOwned::new(connection, stream)
}

pub(crate) fn client_config(ca: &Ca, alpn: &str, pair: Option<&(String, String)>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    let mut config = match pair {
        Some((certificate, key)) => {
            let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            config.with_client_auth_cert(vec![certificate], key).unwrap()
        }
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    Arc::new(config)
}

/// The status of an answer, or why there is none.
pub(crate) fn ask(
    mut stream: StreamOwned<ClientConnection, TcpStream>,
    request: &Request,
) -> Result<String, std::io::Error> {
    stream.write_all(&request.bytes())?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn requests_over_tls_are_judged_like_any_other_and_the_upstream_is_told_of_it() {
    let ca = Ca::generate();
    let (stage, _directory) = stage(&ca, None);
    let good = Request::send().bearer(&stage.token());
    assert_eq!(ask(client(&stage, &ca, "http/1.1", None), &Request::send()).unwrap(), "HTTP/1.1 401");
    assert_eq!(ask(client(&stage, &ca, "http/1.1", None), &good).unwrap(), "HTTP/1.1 202");
    assert_eq!(stage.only_received().head.all("x-forwarded-proto"), ["https"]);
    let malformed = Request::send().header("Transfer-Encoding", "chunked");
    assert_eq!(ask(client(&stage, &ca, "http/1.1", None), &malformed).unwrap(), "HTTP/1.1 400");
    assert!(
        ask(client(&stage, &Ca::generate(), "http/1.1", None), &good).is_err(),
        "another authority's client goes away"
    );
    // Without TLS there is no answer at all.
    let mut plain = stage.sidecar.connect();
    plain.send(good.bytes()).unwrap();
    assert!(plain.read_answer("").is_err());
    stage.end();
}

#[test]
fn http2_is_spoken_with_those_who_ask_for_it() {
    let ca = Ca::generate();
    let (stage, _directory) = stage(&ca, None);
    let mut stream = client(&stage, &ca, "h2", None);
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!(frame[3], 4, "the first frame is SETTINGS (RFC 9113 section 3.4)");
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"h2"[..]));
    stage.end();
}

#[test]
fn a_client_without_a_certificate_of_the_right_authority_is_not_listened_to() {
    let (ca, clients) = (Ca::generate(), Ca::generate());
    let (stage, _directory) = stage(&ca, Some(&clients));
    let good = Request::send().bearer(&stage.token());
    let shown = clients.issue();
    assert_eq!(ask(client(&stage, &ca, "http/1.1", Some(&shown)), &good).unwrap(), "HTTP/1.1 202");
    assert_eq!(ask(client(&stage, &ca, "http/1.1", Some(&shown)), &Request::send()).unwrap(), "HTTP/1.1 401");
    assert!(ask(client(&stage, &ca, "http/1.1", None), &good).is_err());
    assert!(ask(client(&stage, &ca, "http/1.1", Some(&ca.issue())), &good).is_err());
    assert_eq!(stage.email.received().len(), 1);
    stage.end();
}

#[test]
fn a_new_certificate_is_used_without_a_restart_and_a_broken_one_never() {
    let (old, new) = (Ca::generate(), Ca::generate());
    let (stage, directory) = stage(&old, None);
    let good = Request::send().bearer(&stage.token());
    assert_eq!(ask(client(&stage, &old, "http/1.1", None), &good).unwrap(), "HTTP/1.1 202");
    // A key that is not the certificate's: what was there goes on.
    std::fs::write(directory.path().join("tls.key"), new.issue().1).unwrap();
    let told = |words: &str| {
        let end = Instant::now() + PATIENCE;
        while !stage.sidecar.log().contains(words) {
            assert!(Instant::now() < end, "{}", stage.sidecar.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    told("keeps its certificate");
    assert_eq!(ask(client(&stage, &old, "http/1.1", None), &good).unwrap(), "HTTP/1.1 202");
    write(directory.path(), &new.issue());
    told("certificate was replaced");
    assert_eq!(ask(client(&stage, &new, "http/1.1", None), &good).unwrap(), "HTTP/1.1 202");
    assert!(ask(client(&stage, &old, "http/1.1", None), &good).is_err());
    stage.end();
}

#[test]
fn client_authorities_are_rotated_without_a_failed_handshake_of_a_good_client() {
    let (ca, old, new) = (Ca::generate(), Ca::generate(), Ca::generate());
    let (stage, directory) = stage(&ca, Some(&old));
    let stage = &stage;
    let (of_old, of_new) = (old.issue(), new.issue());
    let (of_old, of_new, server_ca) = (&of_old, &of_new, &ca);
    let good = &Request::send().bearer(&stage.token());
    let bundle = directory.path().join("clients.pem");
    let is_let_in = |pair| ask(client(stage, server_ca, "http/1.1", Some(pair)), good).is_ok();
    let is_let_in = &is_let_in;
    let becomes = |pair, wanted: bool| {
        let end = Instant::now() + PATIENCE;
        while is_let_in(pair) != wanted {
            assert!(Instant::now() < end, "{}", stage.sidecar.log());
        }
    };
    // Asks with a certificate until the change is done: every handshake must succeed.
    let during = |pair, change: &dyn Fn()| {
        let done = AtomicBool::new(false);
        let handshakes = std::thread::scope(|scope| {
            let load = scope.spawn(|| {
                let (mut handshakes, mut failed) = (0, 0);
                while !done.load(Ordering::SeqCst) {
                    failed += usize::from(!is_let_in(pair));
                    handshakes += 1;
                }
                (handshakes, failed)
            });
            change();
            done.store(true, Ordering::SeqCst);
            load.join().unwrap()
        });
        assert!(handshakes.0 > 0 && handshakes.1 == 0, "{} of {} handshakes failed", handshakes.1, handshakes.0);
    };
    assert!(is_let_in(of_old) && !is_let_in(of_new));
    let both = format!("{}{}", old.pem, new.pem);
    during(of_old, &|| {
        // Half of a bundle, and none: the old one stays.
        for broken in [&both[..both.len() - 100], ""] {
            std::fs::write(&bundle, broken).unwrap();
            let warned =
                |entry: &serde_json::Value| entry["error"].as_str().is_some_and(|error| error.contains("client"));
            let message = "The listener keeps its certificate: the new files cannot be used.";
            assert!(stage.sidecar.log_where(message, warned).is_some());
            assert!(!is_let_in(of_new));
        }
        std::fs::write(&bundle, &both).unwrap();
        becomes(of_new, true);
    });
    during(of_new, &|| {
        std::fs::write(&bundle, &new.pem).unwrap();
        becomes(of_old, false);
    });
    assert!(is_let_in(of_new));
}

/// What a PEM holds.
pub(crate) fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

/// The `cnf` of a token that is bound to this certificate (RFC 8705 section 3.1).
pub(crate) fn confirmation(certificate: &[u8]) -> Value {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
    json!({"x5t#S256": URL_SAFE_NO_PAD.encode(hash)})
}

/// A sidecar whose clients show certificates, and whose issuer binds its tokens to them.
struct Bound {
    sidecar: Sidecar,
    email: EmailService,
    issuer: Issuer,
    server: Ca,
    clients: Ca,
    _directory: TempDir,
}

impl Bound {
    fn set(issuer_more: &str) -> Self {
        let (email, issuer) = (EmailService::start(), Issuer::start("https://auth.internal.example"));
        let (server, clients) = (Ca::generate(), Ca::generate());
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &server.issue());
        std::fs::write(directory.path().join("clients.pem"), &clients.pem).unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        let (cert, key, client_ca) = (at("tls.crt"), at("tls.key"), at("clients.pem"));
        let tls = format!("[listen.tls]\ncert = {cert:?}\nkey = {key:?}\nclient_ca = {client_ca:?}");
        let lines = format!("keys = {{ url = \"{}\" }}\n{issuer_more}", issuer.jwks_url());
        let setup = Setup::before(email.address()).trusting_with(&issuer, &lines).with(&tls);
        let sidecar = start_ready(&setup);
        Self { sidecar, email, issuer, server, clients, _directory: directory }
    }

    /// A token that is bound to the certificate of this pair, if there is one.
    fn token(&self, pair: Option<&(String, String)>) -> String {
        let mut claims = self.issuer.claims("billing", AUDIENCE);
        if let Some((certificate, _)) = pair {
            claims["cnf"] = confirmation(&der(certificate));
        }
        self.issuer.mint(&claims)
    }

    fn ask(&self, pair: &(String, String), token: &str) -> String {
        let config = client_config(&self.server, "http/1.1", Some(pair));
        ask(connect(self.sidecar.listen(), config), &Request::send().bearer(token)).unwrap()
    }

    fn recorded(&self, reason: &str) -> Value {
        self.sidecar.audit_where(|record| record["reason"] == reason).expect("it is recorded")
    }
}

#[test]
fn a_token_that_is_bound_to_a_certificate_passes_with_it_alone() {
    let bound = Bound::set("binding = [\"certificate\"]\nbearer = false");
    let (own, thiefs) = (bound.clients.issue(), bound.clients.issue());
    let token = bound.token(Some(&own));
    // Also when it is remembered, from the second time on.
    for _ in 0..4 {
        assert_eq!(bound.ask(&own, &token), "HTTP/1.1 202");
        assert_eq!(bound.ask(&thiefs, &token), "HTTP/1.1 401", "a stolen token is worth nothing");
    }
    let refused = bound.recorded("certificate_mismatch");
    assert_eq!((&refused["decision"], &refused["caller"]), (&json!("reject"), &Value::Null), "{refused:#}");
    assert_eq!(bound.ask(&own, &bound.token(None)), "HTTP/1.1 401");
    bound.recorded("token_unbound");
    assert_eq!(bound.email.received().len(), 4);
    let metrics = bound.sidecar.ask_admin("/metrics").text();
    let line = metrics.lines().find(|line| line.contains("reason=\"certificate_mismatch\"")).expect("it is counted");
    assert!(line.ends_with(" 4"), "{line}");
}

#[test]
fn tokens_that_are_bound_to_nothing_pass_beside_bound_ones_where_that_is_allowed() {
    let bound = Bound::set("binding = [\"certificate\"]");
    let (own, thiefs) = (bound.clients.issue(), bound.clients.issue());
    assert_eq!(bound.ask(&thiefs, &bound.token(None)), "HTTP/1.1 202");
    assert_eq!(bound.ask(&own, &bound.token(Some(&own))), "HTTP/1.1 202");
    assert_eq!(bound.ask(&thiefs, &bound.token(Some(&own))), "HTTP/1.1 401");
    assert_eq!(bound.email.received().len(), 2);
}

#[test]
fn a_bound_token_is_refused_with_its_certificate_too_where_no_proof_is_configured() {
    let bound = Bound::set("");
    let own = bound.clients.issue();
    assert_eq!(bound.ask(&own, &bound.token(Some(&own))), "HTTP/1.1 401");
    bound.recorded("token_bound");
    assert_eq!(bound.ask(&own, &bound.token(None)), "HTTP/1.1 202");
    assert_eq!(bound.email.received().len(), 1);
}

#[test]
fn a_resumed_connection_still_has_the_certificate_of_the_first_one() {
    let bound = Bound::set("binding = [\"certificate\"]\nbearer = false");
    let (own, thiefs) = (bound.clients.issue(), bound.clients.issue());
    let token = bound.token(Some(&own));
    for (pair, status) in [(&own, "HTTP/1.1 202"), (&thiefs, "HTTP/1.1 401")] {
        // One configuration keeps the tickets of its sessions.
        let config = client_config(&bound.server, "http/1.1", Some(pair));
        let kinds: Vec<_> = (0..2)
            .map(|_| {
                let mut stream = connect(bound.sidecar.listen(), Arc::clone(&config));
                stream.write_all(&Request::send().bearer(&token).header("Connection", "close").bytes()).unwrap();
                let mut answer = String::new();
                // To its end, behind which the ticket was read.
                let _closed = stream.read_to_string(&mut answer);
                assert!(answer.starts_with(status), "{answer}");
                stream.conn.handshake_kind()
            })
            .collect();
        assert_eq!(kinds[1], Some(rustls::HandshakeKind::Resumed), "{kinds:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_is_judged_over_http2_like_over_http1() {
    let bound = Bound::set("binding = [\"certificate\"]");
    let (own, thiefs) = (bound.clients.issue(), bound.clients.issue());
    let token = bound.token(Some(&own));
    for (pair, status) in [(&own, 202), (&thiefs, 401)] {
        let connector = tokio_rustls::TlsConnector::from(client_config(&bound.server, "h2", Some(pair)));
        let stream = tokio::net::TcpStream::connect(bound.sidecar.listen()).await.unwrap();
        let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut client = client.ready().await.unwrap();
        let request = http::Request::post("https://localhost/send").header("authorization", format!("Bearer {token}"));
        let (answer, _) = client.send_request(request.body(()).unwrap(), true).unwrap();
        assert_eq!(answer.await.unwrap().status().as_u16(), status);
    }
    bound.recorded("certificate_mismatch");
    assert_eq!(bound.email.received().len(), 1);
}
