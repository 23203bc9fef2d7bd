//! Presets, against documents and tokens as these issuers really make them.

use serde_json::{Value, json};

use testkit::email_service::EmailService;
use testkit::http::Answer;
use testkit::issuer::{Issuer, now};
use testkit::keys::Key;
use testkit::refusal::assert_unauthorized;
use testkit::request::Request;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::start_ready;
use testkit::tls::TlsFront;

/// A sidecar that trusts one issuer by these lines.
struct Guarded {
    email: EmailService,
    sidecar: Sidecar,
}

impl Guarded {
    fn by(issuer: &str) -> Self {
        let email = EmailService::start();
        let sidecar = start_ready(&Setup::before(email.address()).with(issuer));
        Self { email, sidecar }
    }

    fn ask(&self, token: &str) -> Answer {
        self.sidecar.connect().exchange(Request::send().bearer(token).bytes()).unwrap()
    }

    /// Asserts that the token is accepted and names this caller.
    fn assert_called_by(&self, token: &str, caller: &str) -> Value {
        let answer = self.ask(token);
        assert_eq!(answer.status(), 202, "{}", answer.text());
        let received = self.email.received();
        let head = &received.last().expect("the request came through").head;
        assert_eq!(head.all("x-caller-service"), [caller]);
        let audit = self.sidecar.audit_where(|record| record["caller"] == caller).expect("an audit record");
        audit["claims"].clone()
    }
}

/// Claims with one of them changed; `null` takes it out.
fn but(claims: &Value, claim: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[claim] = value;
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

#[test]
fn kubernetes_names_service_accounts_by_namespace_and_name() {
    let name = "https://kubernetes.default.svc.cluster.local";
    let kid = "uyT0dFcsH2VQ3Zr5tqL8nXb4kJmW9pA1eGiO6yRhKsE";
    let cluster = Issuer::with_keys(name, vec![Key::generate("RS256", kid)]);
    let api = TlsFront::before(&cluster);
    let directory = tempfile::tempdir().unwrap();
    let own_token = directory.path().join("token");
    std::fs::write(&own_token, "the.pods.own\n").unwrap();
    let guarded = Guarded::by(&format!(
        "[[issuers]]\npreset = \"kubernetes\"\nissuer = \"{name}\"\naudiences = [\"{AUDIENCE}\"]\n\
         keys = {{ url = \"{}\", ca_file = \"{}\", token_file = \"{}\" }}",
        api.jwks_url(),
        api.ca_file().display(),
        own_token.display()
    ));

    // As `kubectl create token billing -n shop --audience email-service` prints it, and a projected volume holds it.
    let claims = json!({
        "aud": [AUDIENCE],
        "exp": now() + 3600,
        "iat": now(),
        "iss": name,
        "jti": "b7c5f1c2-7a43-4b5e-9d1f-0c7c3a6f2f11",
        "kubernetes.io": {
            "namespace": "shop",
            "node": {"name": "worker-1", "uid": "5d2c4b1e-0f7a-4a5c-8a54-6f0d0c2b7e90"},
            "pod": {"name": "billing-6f7d9c5b8-x2x7q", "uid": "c0f5a4a3-5a1f-4f3b-8d5e-0a4b2f8f5f64"},
            "serviceaccount": {"name": "billing", "uid": "f2f3f1a0-7c39-4b52-b8a4-1c2d3e4f5a6b"},
            "warnafter": now() + 3607
        },
        "nbf": now(),
        "sub": "system:serviceaccount:shop:billing"
    });
    let mint = |claims: &Value| cluster.key().mint_as(&json!({"alg": "RS256", "kid": kid}), claims);
    let recorded = guarded.assert_called_by(&mint(&claims), "shop/billing");
    let pod = json!({"pod": "billing-6f7d9c5b8-x2x7q", "pod_uid": "c0f5a4a3-5a1f-4f3b-8d5e-0a4b2f8f5f64"});
    assert_eq!(recorded, pod, "the audit names the pod that the token is bound to");

    for other in
        ["system:node:worker-1", "system:serviceaccount:shop", "system:serviceaccount:sh/op:billing", "shop/billing"]
    {
        assert_unauthorized(&guarded.ask(&mint(&but(&claims, "sub", other.into()))), "caller_unusable");
    }
    let for_the_api = mint(&but(&claims, "aud", json!(["https://kubernetes.default.svc.cluster.local"])));
    assert_unauthorized(&guarded.ask(&for_the_api), "audience_mismatch");
    assert_eq!(guarded.email.received().len(), 1);
}

#[test]
fn kubernetes_takes_the_name_of_the_cluster_from_the_pods_own_token() {
    let key = |kid: &str| vec![Key::generate("RS256", kid)];
    let (here, there) =
        (Issuer::with_keys("https://here.example", key("k1")), Issuer::with_keys("https://there.example", key("k1")));
    let api = TlsFront::before(&here);
    let directory = tempfile::tempdir().unwrap();
    let own = directory.path().join("token");
    let claims = |iss: &str, name: &str| {
        let sub = format!("system:serviceaccount:shop:{name}");
        json!({"iss": iss, "aud": [AUDIENCE], "exp": now() + 3600, "iat": now(), "sub": sub})
    };
    let renew = |iss: &str| std::fs::write(&own, here.mint(&claims(iss, "mail"))).unwrap();
    renew("https://here.example");
    let guarded = Guarded::by(&format!(
        "[[issuers]]\npreset = \"kubernetes\"\naudiences = [\"{AUDIENCE}\"]\n\
         keys = {{ url = \"{}\", ca_file = \"{}\", token_file = \"{}\" }}\n\
         [[issuers]]\npreset = \"kubernetes\"\nissuer = \"https://there.example\"\naudiences = [\"{AUDIENCE}\"]\n\
         keys = {{ url = \"{}\" }}\ncaller = {{ claim = \"sub\", pattern = \"system:serviceaccount:{{ns}}:{{name}}\", name = \"there/{{ns}}/{{name}}\" }}\n",
        api.jwks_url(),
        api.ca_file().display(),
        own.display(),
        there.jwks_url()
    ));
    guarded.assert_called_by(&here.mint(&claims("https://here.example", "billing")), "shop/billing");
    guarded.assert_called_by(&there.mint(&claims("https://there.example", "billing")), "there/shop/billing");
    // The name only selects: the keys decide.
    assert_unauthorized(&guarded.ask(&there.mint(&claims("https://here.example", "x"))), "signature_invalid");
    assert_unauthorized(&guarded.ask(&here.mint(&claims("https://there.example", "x"))), "signature_invalid");
    assert_unauthorized(&guarded.ask(&here.mint(&claims("https://renamed.example", "x"))), "issuer_untrusted");

    renew("https://renamed.example");
    let in_force = "The configuration was loaded again and is in force.";
    assert!(guarded.sidecar.log_where(in_force, |line| line["trigger"] == "renewal").is_some());
    guarded.assert_called_by(&here.mint(&claims("https://renamed.example", "orders")), "shop/orders");
    assert_unauthorized(&guarded.ask(&here.mint(&claims("https://here.example", "x"))), "issuer_untrusted");
    assert_eq!(guarded.email.received().len(), 3);
}

#[test]
fn spiffe_accepts_svids_of_its_trust_domain_signed_by_the_bundles_keys_for_tokens() {
    let (token_key, certificate_key) = (Key::generate("ES256", "jwt-1"), Key::generate("ES256", "x509-1"));
    let used_for = |key: &Key, usage: &str| {
        let mut jwk = key.jwk();
        jwk["use"] = json!(usage);
        jwk.as_object_mut().unwrap().remove("alg");
        jwk
    };
    let mut certificate = used_for(&certificate_key, "x509-svid");
    certificate["x5c"] = json!(["MIIBzDCCAVOgAwIBAgIJAJM4DhRH0vmuMAoGCCqGSM49BAMEMB4x"]);
    let bundle = json!({"keys": [certificate, used_for(&token_key, "jwt-svid")], "spiffe_sequence": 12035488, "spiffe_refresh_hint": 300});
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bundle.json");
    std::fs::write(&file, bundle.to_string()).unwrap();
    let guarded = Guarded::by(&format!(
        "[[issuers]]\npreset = \"spiffe\"\ntrust_domain = \"example.org\"\nissuer = \"https://spire.example.org\"\n\
         audiences = [\"spiffe://example.org/email-service\"]\nkeys = {{ file = \"{}\" }}",
        file.display()
    ));

    let caller = "spiffe://example.org/ns/shop/sa/billing";
    let claims = json!({
        "aud": ["spiffe://example.org/email-service"],
        "exp": now() + 300,
        "iat": now(),
        "iss": "https://spire.example.org",
        "sub": caller
    });
    assert_eq!(guarded.assert_called_by(&token_key.mint(&claims), caller), Value::Null);

    for other in ["spiffe://other.org/ns/shop/sa/billing", "spiffe://example.org", "https://example.org/a", "billing"] {
        assert_unauthorized(&guarded.ask(&token_key.mint(&but(&claims, "sub", other.into()))), "caller_unusable");
    }
    assert_unauthorized(&guarded.ask(&token_key.mint(&but(&claims, "exp", Value::Null))), "claim_missing");
    assert_unauthorized(&guarded.ask(&token_key.mint(&but(&claims, "aud", Value::Null))), "claim_missing");
    assert_unauthorized(&guarded.ask(&certificate_key.mint(&claims)), "key_unknown");
    assert_eq!(guarded.email.received().len(), 1);
}

#[test]
fn spiffe_finds_tokens_by_the_trust_domain_of_their_subject() {
    let directory = tempfile::tempdir().unwrap();
    let (a, b) = (Key::generate("ES256", "jwt-1"), Key::generate("ES256", "jwt-1"));
    let bundle = |name: &str, key: &Key| {
        let mut jwk = key.jwk();
        jwk["use"] = json!("jwt-svid");
        let file = directory.path().join(name);
        std::fs::write(&file, json!({"keys": [jwk]}).to_string()).unwrap();
        format!(
            "[[issuers]]\npreset = \"spiffe\"\ntrust_domain = \"{name}\"\naudiences = [\"email\"]\nkeys = {{ file = \"{}\" }}\n",
            file.display()
        )
    };
    let guarded = Guarded::by(&(bundle("a.example", &a) + &bundle("b.example", &b)));
    let claims = |sub: &str| json!({"aud": ["email"], "exp": now() + 300, "iat": now(), "sub": sub});
    let (of_a, of_b) = (claims("spiffe://a.example/billing"), claims("spiffe://b.example/orders"));
    assert_eq!(guarded.assert_called_by(&a.mint(&of_a), "spiffe://a.example/billing"), Value::Null);
    guarded.assert_called_by(&b.mint(&of_b), "spiffe://b.example/orders");
    let record = guarded.sidecar.audit_where(|record| record["caller"] == "spiffe://b.example/orders").unwrap();
    assert_eq!(record["issuer"], "spiffe://b.example");

    // An iss is recorded and decides nothing.
    let elsewhere = claims("spiffe://a.example/elsewhere");
    let elsewhere = a.mint(&but(&elsewhere, "iss", "https://b.example".into()));
    let recorded = guarded.assert_called_by(&elsewhere, "spiffe://a.example/elsewhere");
    assert_eq!(recorded, json!({"iss": "https://b.example"}));

    // The kid is the same in both bundles.
    assert_unauthorized(&guarded.ask(&a.mint(&of_b)), "signature_invalid");
    assert_unauthorized(&guarded.ask(&b.mint(&of_a)), "signature_invalid");
    let detail = assert_unauthorized(&guarded.ask(&a.mint(&claims("spiffe://c.example/x"))), "issuer_untrusted");
    assert!(detail.contains("the trust domain 'c.example'"), "{detail}");
    assert_unauthorized(&guarded.ask(&a.mint(&claims("spiffe://a.example"))), "caller_unusable");
    assert_unauthorized(&guarded.ask(&a.mint(&claims("billing"))), "claim_missing");
    assert_eq!(guarded.email.received().len(), 3);
}

#[test]
fn rfc9068_accepts_access_tokens_only_and_names_the_client() {
    let server = Issuer::with_keys("", vec![Key::generate("RS256", "RjEwOwOA")]);
    let name = server.jwks_url().replace("/.well-known/jwks.json", "");
    server.rename(&name);
    let guarded = Guarded::by(&format!(
        "[[issuers]]\npreset = \"rfc9068\"\nissuer = \"{name}\"\naudiences = [\"https://email.example.com/\"]"
    ));

    // RFC 9068 §2.2.3.1, with other names and times.
    let claims = json!({
        "iss": name,
        "sub": "5ba552d67",
        "aud": "https://email.example.com/",
        "exp": now() + 3600,
        "iat": now(),
        "jti": "dbe39bf3a3ba4238a513f51d6e1691c4",
        "client_id": "s6BhdRkqt3",
        "scope": "openid profile reademail"
    });
    let header = |typ: &str| json!({"typ": typ, "alg": "RS256", "kid": "RjEwOwOA"});
    let mint = |claims: &Value| server.key().mint_as(&header("at+JWT"), claims);
    guarded.assert_called_by(&mint(&claims), "s6BhdRkqt3");
    guarded.assert_called_by(&server.key().mint_as(&header("application/at+jwt"), &claims), "s6BhdRkqt3");

    for claim in ["sub", "client_id", "iat", "jti"] {
        assert_unauthorized(&guarded.ask(&mint(&but(&claims, claim, Value::Null))), "claim_missing");
    }
    assert_unauthorized(&guarded.ask(&server.key().mint_as(&header("JWT"), &claims)), "type_refused");
    let untyped = server.key().mint_as(&json!({"alg": "RS256", "kid": "RjEwOwOA"}), &claims);
    assert_unauthorized(&guarded.ask(&untyped), "type_refused");
    assert_eq!(guarded.email.received().len(), 2);
}
