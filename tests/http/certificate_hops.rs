//! Proxies that end TLS and tell the certificate of their client. From a declared one it counts; from anybody else the same fields
//! change nothing and are removed.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use testkit::email_service::EmailService;
use testkit::http::{Answer, PATIENCE};
use testkit::issuer::Issuer;
use testkit::refusal::{assert_unauthorized, request_id};
use testkit::request::Request;
use testkit::setup::Setup;
use testkit::stage::{Stage, start_ready};
use testkit::tls::Ca;
use testkit::tools;

use crate::tls::{ask, client_config, confirmation, connect, der, write};

/// Where the tests are not, and where they are.
const ELSEWHERE: &str = "10.9.8.7";
const HERE: &str = "127.0.0.0/8";

/// A sidecar behind hops at `from` that write this field. Its issuer's tokens are bound to certificates.
fn stage(field: &str, from: &str) -> Stage {
    let (email, issuer) = (EmailService::start(), Issuer::start("https://auth.internal.example"));
    let lines = format!("binding = [\"certificate\"]\nbearer = false\nkeys = {{ url = \"{}\" }}", issuer.jwks_url());
    let hops = format!("[forwarding]\nclient_certificate = \"{field}\"\nclient_certificate_from = [\"{from}\"]");
    let public = "[[public]]\npath = \"/healthz\"\nmethods = [\"GET\"]";
    let setup = Setup::before(email.address()).trusting_with(&issuer, &lines).with(&hops).with(public);
    let sidecar = start_ready(&setup);
    Stage { issuer, email, sidecar }
}

fn bound_token(stage: &Stage, certificate: &[u8]) -> String {
    stage.token_but("cnf", confirmation(certificate))
}

/// The field of RFC 9440 and of Envoy for a certificate.
fn fields(certificate: &[u8]) -> [(&'static str, &'static str, String); 2] {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
    let hash = hash.as_ref().iter().fold(String::new(), |mut text, byte| {
        let _written = write!(text, "{byte:02x}");
        text
    });
    [
        ("rfc9440", "Client-Cert", format!(":{}:", STANDARD.encode(certificate))),
        ("xfcc", "X-Forwarded-Client-Cert", format!("By=spiffe://a/b;Hash={hash};Subject=\"CN=billing,O=shop\"")),
    ]
}

fn refused(stage: &Stage, request: &Request, reason: &str) -> Answer {
    let before = stage.email.received().len();
    let answer = stage.ask(request);
    assert_unauthorized(&answer, reason);
    assert_eq!(stage.email.received().len(), before, "the upstream sees nothing");
    let record = stage.sidecar.audit_for(&request_id(&answer)).expect("an audit record");
    assert_eq!((&record["reason"], &record["caller"]), (&json!(reason), &Value::Null));
    answer
}

#[test]
fn what_a_declared_hop_tells_of_a_certificate_counts_for_each_request() {
    let (own, thiefs) = (der(&Ca::generate().issue().0), der(&Ca::generate().issue().0));
    for ((kind, name, value), (.., stolen)) in fields(&own).into_iter().zip(fields(&thiefs)) {
        let stage = stage(kind, HERE);
        let request = Request::send().bearer(&bound_token(&stage, &own));
        // Also when the token is remembered, on one connection after the other.
        for _ in 0..3 {
            assert_eq!(stage.ask(&request.clone().header(name, &value)).status(), 202, "{kind}");
            refused(&stage, &request.clone().header(name, &stolen), "certificate_mismatch");
            refused(&stage, &request, "certificate_missing");
            refused(&stage, &request.clone().header(name, &value).header(name, &value), "certificate_missing");
            refused(&stage, &request.clone().header(name, "?"), "certificate_missing");
        }
        let received = stage.email.latest().unwrap();
        assert_eq!((received.callers(), received.head.all(name)), (vec!["billing"], vec![value.as_str()]));
        stage.end();
    }
}

#[test]
fn the_same_fields_from_anybody_else_change_nothing_and_are_removed() {
    let own = der(&Ca::generate().issue().0);
    for (kind, name, value) in fields(&own) {
        let stage = stage(kind, ELSEWHERE);
        let request = Request::send().bearer(&bound_token(&stage, &own)).header(name, &value);
        refused(&stage, &request, "certificate_missing");
        refused(&stage, &request.header("X-Forwarded-For", ELSEWHERE), "certificate_missing");

        let mut health = Request::new("GET", "/healthz");
        let spellings =
            ["Client-Cert", "client_cert", "Client-Cert-Chain", "X-Forwarded-Client-Cert", "x_forwarded_client.cert"];
        for spelling in spellings {
            health = health.header(spelling, &value);
        }
        assert_eq!(stage.ask(&health).status(), 200);
        let head = stage.email.latest().unwrap().head;
        assert!(spellings.iter().all(|spelling| head.all(spelling).is_empty()), "{head:?}");
        stage.end();
    }
}

#[test]
fn through_a_hop_nothing_passes_that_a_backend_could_take_for_its_word() {
    let own = der(&Ca::generate().issue().0);
    let [(kind, name, value), (_, other, _)] = fields(&own);
    let stage = stage(kind, HERE);
    let request = Request::send()
        .bearer(&bound_token(&stage, &own))
        .header(name, &value)
        .header("client_cert", ":YWRtaW4=:")
        .header(other, "Hash=00");
    assert_eq!(stage.ask(&request).status(), 202);
    let head = stage.only_received().head;
    assert_eq!((head.all(name), head.all("client_cert"), head.all(other)), (vec![value.as_str()], vec![], vec![]));
    stage.end();
}

/// A proxy of another make in front of a sidecar, with a certificate of its own.
struct Front {
    child: Child,
    address: SocketAddr,
    server: Ca,
    clients: Ca,
    _directory: tempfile::TempDir,
}

impl Front {
    /// Starts it with a file of configuration, in which `@…@` stand for paths and addresses.
    fn start(program: &Path, arguments: &[&str], files: &[(&str, &str)], stage: &Stage) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (server, clients) = (Ca::generate(), Ca::generate());
        write(directory.path(), &server.issue());
        std::fs::write(directory.path().join("clients.pem"), &clients.pem).unwrap();
        // It is free again when the listener is dropped, and nobody else asks for just this one.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let filled = |text: &str| {
            text.replace("@NJS@", NJS)
                .replace("@DIRECTORY@", &directory.path().display().to_string())
                .replace("@PORT@", &address.port().to_string())
                .replace("@SIDECAR@", &stage.sidecar.listen().port().to_string())
        };
        for (name, text) in files {
            std::fs::write(directory.path().join(name), filled(text)).unwrap();
        }
        let arguments: Vec<_> = arguments.iter().map(|argument| filled(argument)).collect();
        let child = Command::new(program).args(arguments).stdout(Stdio::null()).spawn().unwrap();
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < end, "{} should listen", program.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, address, server, clients, _directory: directory }
    }

    /// Plays a caller with its own certificate, and a thief of its token with another.
    fn play(&self, stage: &Stage, name: &str) {
        let (own, thiefs) = (self.clients.issue(), self.clients.issue());
        let token = bound_token(stage, &der(&own.0));
        let forged = &fields(&der(&own.0)).map(|(_, name, value)| (name, value));
        let send = |pair: &(String, String)| {
            let request = Request::send().bearer(&token);
            // The thief tells the proxy what it should tell us.
            let request = forged.iter().fold(request, |request, (name, value)| request.header(name, value));
            ask(connect(self.address, client_config(&self.server, "http/1.1", Some(pair))), &request).unwrap()
        };
        for _ in 0..3 {
            assert_eq!(send(&own), "HTTP/1.1 202");
            assert_eq!(send(&thiefs), "HTTP/1.1 401");
        }
        assert_eq!(stage.email.received().len(), 3);
        assert_eq!(stage.email.latest().unwrap().head.all(name).len(), 1);
        stage.sidecar.audit_where(|record| record["reason"] == "certificate_mismatch").expect("it is recorded");
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

#[test]
fn envoy_in_front_tells_which_certificate_a_client_has() {
    let Some(envoy) = tools::find("envoy") else {
        return tools::skip("the test of Envoy as a declared hop", "envoy is missing");
    };
    let stage = stage("xfcc", HERE);
    let arguments =
        ["-c", "@DIRECTORY@/envoy.yaml", "--concurrency", "1", "--log-level", "error", "--disable-hot-restart"];
    let front = Front::start(&envoy, &arguments, &[("envoy.yaml", ENVOY)], &stage);
    front.play(&stage, "x-forwarded-client-cert");
    drop(front);
    stage.end();
}

#[test]
fn nginx_in_front_tells_which_certificate_a_client_has() {
    let nginx = tools::find("nginx").filter(|_| Path::new(NJS).exists());
    let Some(nginx) = nginx else {
        return tools::skip("the test of nginx as a declared hop", "nginx or its module njs is missing");
    };
    let stage = stage("rfc9440", HERE);
    let files = [("nginx.conf", NGINX), ("certificate.js", CERTIFICATE_JS)];
    let front = Front::start(&nginx, &["-p", "@DIRECTORY@", "-c", "@DIRECTORY@/nginx.conf"], &files, &stage);
    front.play(&stage, "client-cert");
    drop(front);
    stage.end();
}

/// As Envoy's documentation of `forward_client_cert_details` has it.
const ENVOY: &str = r#"
static_resources:
  listeners:
  - address: { socket_address: { address: 127.0.0.1, port_value: @PORT@ } }
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
          common_tls_context:
            alpn_protocols: [http/1.1]
            tls_certificates:
            - certificate_chain: { filename: @DIRECTORY@/tls.crt }
              private_key: { filename: @DIRECTORY@/tls.key }
            validation_context: { trusted_ca: { filename: @DIRECTORY@/clients.pem } }
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: callers
          forward_client_cert_details: SANITIZE_SET
          set_current_client_cert_details: { subject: true, uri: true }
          http_filters:
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{ match: { prefix: / }, route: { cluster: callgate } }]
  clusters:
  - name: callgate
    load_assignment:
      cluster_name: callgate
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: @SIDECAR@ } } }
"#;

/// Where Debian's package has the module for scripts.
const NJS: &str = "/usr/lib/nginx/modules/ngx_http_js_module.so";

/// `Client-Cert` by a script: nginx has the certificate as PEM.
const NGINX: &str = "
load_module @NJS@;
daemon off;
master_process off;
pid @DIRECTORY@/pid;
error_log @DIRECTORY@/error.log;
events { worker_connections 100; }
http {
    access_log off;
    client_body_temp_path @DIRECTORY@/body;
    proxy_temp_path @DIRECTORY@/proxy;
    fastcgi_temp_path @DIRECTORY@/fastcgi;
    uwsgi_temp_path @DIRECTORY@/uwsgi;
    scgi_temp_path @DIRECTORY@/scgi;
    js_path @DIRECTORY@;
    js_import certificate from certificate.js;
    js_set $client_certificate certificate.field;
    server {
        listen 127.0.0.1:@PORT@ ssl;
        ssl_certificate @DIRECTORY@/tls.crt;
        ssl_certificate_key @DIRECTORY@/tls.key;
        ssl_client_certificate @DIRECTORY@/clients.pem;
        ssl_verify_client on;
        location / {
            proxy_set_header Client-Cert $client_certificate;
            proxy_set_header X-Forwarded-Client-Cert \"\";
            proxy_pass http://127.0.0.1:@SIDECAR@;
        }
    }
}
";

const CERTIFICATE_JS: &str = "
function field(request) {
    const pem = request.variables.ssl_client_raw_cert;
    return pem ? ':' + pem.replace(/-----[A-Z ]+-----/g, '').replace(/\\s/g, '') + ':' : '';
}
export default { field };
";
