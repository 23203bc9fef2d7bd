//! The real Callgate, before a service that answers with the head it received.

use std::sync::Arc;

use callgate::authenticator::Decision;
use callgate::probe::cases::tokens;
use callgate::probe::{Target, TargetOptions};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer as Authority, KeyPair};
use testkit::http::Connection;
use testkit::issuer::Issuer;
use testkit::server::Server;
use testkit::setup::{AUDIENCE, Setup};
use testkit::stage::start_ready;
use testkit::token::token;
use testkit::world::{judge, world};

use super::{Probing, with_verdict};

/// Answers every request with 202 and the head that came.
fn echo() -> Server {
    let serve = |mut connection: Connection| {
        while let Some(head) = connection.read_head()? {
            connection.read_body(Connection::request_body(&head))?;
            let lines: Vec<_> = head.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            connection.send_answer("202 Accepted", &[("Content-Type", "text/plain")], lines.join("\r\n").as_bytes())?;
        }
        Ok(())
    };
    Server::local(Arc::new(serve)).unwrap()
}

#[test]
fn callgate_withstands_every_case() {
    let (issuer, service) = (Issuer::start("https://auth.internal.example"), echo());
    let setup = Setup::before(service.address()).trusting(&issuer);
    let setup = setup.with("[[public]]\npath = \"/healthz\"\nmethods = [\"GET\", \"POST\"]\n");
    let sidecar = start_ready(&setup);
    let good = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let mut probing = Probing::of(&format!("http://{}/send", sidecar.listen()), &good);
    probing.options.target.keys_file = Some(probing.file("jwks.json", &issuer.jwks().to_string()));
    // The service's own port does answer here: the one case that has to fail, and nothing else does.
    probing.options.direct = Some(service.address().for_config());
    let (code, report, told) = probing.run();
    assert_eq!(
        with_verdict(&report, "fail"),
        ["direct: a request without a token to the service's own port"],
        "{told}"
    );
    assert_eq!(code, 1);
    assert_eq!(with_verdict(&report, "not to tell"), Vec::<String>::new(), "{report:#}");
    assert_eq!((report["http2"].as_bool(), report["echo"].as_bool()), (Some(true), Some(true)));
    // With a port that is closed, nothing gets through.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    probing.options.direct = Some(closed.to_string());
    let (code, report, told) = probing.run();
    assert_eq!((code, with_verdict(&report, "fail")), (0, Vec::new()), "{told}");
    assert_eq!(sidecar.stop().code, Some(0));
}

/// The probe's tokens are cases of the conformance suite too, judged without a network.
#[test]
fn the_authenticator_refuses_every_token_that_is_made_of_a_good_one() {
    let world = world();
    let good = String::from_utf8(token().build()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let token_file = directory.path().join("token");
    std::fs::write(&token_file, &good).unwrap();
    let target = Target::new(&TargetOptions {
        url: "http://h/send".to_owned(),
        token_file,
        method: "POST".to_owned(),
        body_file: None,
        headers: Vec::new(),
        echo_path: None,
        public_paths: Vec::new(),
        caller_header: "X-Caller-Service".to_owned(),
        keys_file: None,
    });
    let target = target.unwrap_or_else(|error| panic!("{error}"));
    let public = [("a key".to_owned(), testkit::signing::pair("p256").public_pem())];
    assert!(!matches!(judge(&world, format!("Bearer {good}").as_bytes()), Decision::Reject(_)), "the good one passes");
    let cases = tokens(&target.token, &public);
    assert!(cases.len() > 250, "{}", cases.len());
    for case in cases {
        assert!(matches!(judge(&world, &case.field), Decision::Reject(_)), "{:?}: {}", case.class, case.what);
    }
}

/// A certificate for `localhost` with its key, and the authority that vouches for it, as PEM.
fn certificate() -> (String, String, String) {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new([]).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = parameters.self_signed(&key).unwrap().pem();
    let vouching = Authority::new(parameters, key);
    let key = KeyPair::generate().unwrap();
    let parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
    (parameters.signed_by(&key, &vouching).unwrap().pem(), key.serialize_pem(), authority)
}

#[test]
fn a_deployment_behind_tls_is_probed_in_both_versions_of_http_and_only_if_its_certificate_is_trusted() {
    let (issuer, service) = (Issuer::start("https://auth.internal.example"), echo());
    let good = issuer.mint(&issuer.claims("billing", AUDIENCE));
    let (cert, key, authority) = certificate();
    let mut probing = Probing::of("https://placeholder/send", &good);
    let (cert, key) = (probing.file("tls.crt", &cert), probing.file("tls.key", &key));
    let table = format!("[listen.tls]\ncert = \"{}\"\nkey = \"{}\"\n", cert.display(), key.display());
    let sidecar = start_ready(&Setup::before(service.address()).trusting(&issuer).with(&table));
    probing.options.target.url = format!("https://localhost:{}/send", sidecar.listen().port());
    // Nobody vouches for this certificate but the authority of this test.
    assert_eq!(probing.run().0, 69, "an unknown authority is not trusted");
    probing.options.ca_file = Some(probing.file("ca.pem", &authority));
    let (code, report, told) = probing.run();
    assert_eq!((code, with_verdict(&report, "fail")), (0, Vec::new()), "{told}");
    assert_eq!(with_verdict(&report, "not to tell"), Vec::<String>::new(), "{report:#}");
    assert_eq!(report["http2"], true);
    assert_eq!(sidecar.stop().code, Some(0));
}
