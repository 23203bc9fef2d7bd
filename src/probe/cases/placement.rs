//! The good token where none belongs, and fields that are no credentials.

use crate::probe::attempt::{Case, Class, MARKER, Proof, Request, Weight, raw, request};
use crate::probe::target::Target;

/// Requests that carry no token at all.
pub(super) fn without_token(target: &Target) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |source, what: &str, fields: &[&str]| {
        let fields: Vec<_> = fields.iter().map(|field| field.as_bytes()).collect();
        let request = request(target, &target.path, &fields);
        cases.push(case(Class::NoToken, source, what, Weight::Bypass, request));
    };
    add("RFC 6750 3.1", "nothing", &[]);
    let fields = [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer null",
        "Bearer undefined",
        "Bearer ..",
        "Bearer e30.e30.",
        "Basic YWRtaW46YWRtaW4=",
        "Basic Og==",
        "Digest username=\"admin\"",
        "Negotiate YII=",
        "Token x",
        "x",
    ];
    for field in fields {
        add("RFC 6750 2.1", &format!("Authorization is {field:?}"), &[&format!("Authorization: {field}")]);
    }
    let trusted = [
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Real-IP", "127.0.0.1"),
        ("Forwarded", "for=127.0.0.1;proto=https"),
        ("X-Forwarded-Client-Cert", "By=spiffe://probe.invalid/x;Subject=\"CN=admin\""),
        ("X-SSL-Client-Verify", "SUCCESS"),
        ("X-Client-Cert", "admin"),
        ("X-Forwarded-User", "admin"),
        ("X-Auth-Request-User", "admin"),
        ("X-Remote-User", "admin"),
        ("X-Envoy-Internal", "true"),
        ("X-Original-URL", "/healthz"),
        ("X-Rewrite-URL", "/healthz"),
        ("X-Original-URI", "/healthz"),
        ("X-HTTP-Method-Override", "OPTIONS"),
        ("X-Method-Override", "OPTIONS"),
        ("Access-Control-Request-Method", "POST"),
        ("Upgrade-Insecure-Requests", "1"),
        ("X-Middleware-Subrequest", "middleware:middleware:middleware:middleware:middleware"),
        ("User-Agent", "kube-probe/1.30"),
        ("Service-Worker", "script"),
    ];
    for (name, value) in trusted {
        add("own", &format!("{name}: {value}"), &[&format!("{name}: {value}")]);
    }
    let caller = format!("{}: probe-forged-caller", target.caller_header);
    add("own", "the caller's header alone", &[&caller]);
    let hosts = ["localhost", "127.0.0.1", "internal"];
    for host in hosts {
        let lines = raw(target, &format!("{{R}} HTTP/1.1~Host: {host}~{MARKER}: 1~Connection: close~{{L}}~{{B}}"));
        cases.push(case(Class::NoToken, "own", &format!("the host is {host}"), Weight::Bypass, lines));
    }
    cases
}

/// The good token in other places, or beside another.
pub(super) fn cases(target: &Target) -> Vec<Case> {
    let token = &target.token.text;
    let mut cases = Vec::new();
    let names = [
        "Proxy-Authorization",
        "X-Authorization",
        "X-Auth-Token",
        "X-Access-Token",
        "X-Forwarded-Authorization",
        "X-Forwarded-Access-Token",
        "X-Original-Authorization",
        "Authorization-Bearer",
        "Authentication",
        "Access-Token",
        "Token",
        "X-JWT-Assertion",
        "X-Amzn-Oidc-Data",
        "Cf-Access-Jwt-Assertion",
        "Sec-WebSocket-Protocol",
        "X-Id-Token",
    ];
    for name in names {
        for (how, scheme) in [("", "Bearer "), (" without a scheme", "")] {
            let line = format!("{name}: {scheme}{token}");
            let request = request(target, &target.path, &[line.as_bytes()]);
            cases.push(case(Class::Placement, "RFC 6750 2", &format!("in {name}{how}"), Weight::Leniency, request));
        }
    }
    // Names that a backend with CGI's variables reads as Authorization (RFC 3875 section 4.1.18).
    for name in ["Author_ization", "Authorization_", "HTTP_AUTHORIZATION", "Authorization.", "Authorization "] {
        let line = format!("{name}: Bearer {token}");
        let request = request(target, &target.path, &[line.as_bytes()]);
        cases.push(case(Class::Placement, "RFC 9110 5.1", &format!("in a field {name:?}"), Weight::Leniency, request));
    }
    for name in ["access_token", "token", "jwt", "id_token", "auth", "authorization", "bearer_token"] {
        let joint = if target.path.contains('?') { '&' } else { '?' };
        let request = request(target, &format!("{}{joint}{name}={token}", target.path), &[]);
        let what = format!("in the query as {name}");
        cases.push(case(Class::Placement, "RFC 6750 2.3", &what, Weight::Leniency, request));
    }
    for name in ["access_token", "token", "jwt", "id_token", "session", "Authorization", "IstioToken", "Bearer"] {
        let line = format!("Cookie: {name}={token}");
        let request = request(target, &target.path, &[line.as_bytes()]);
        let what = format!("in a cookie {name}");
        cases.push(case(Class::Placement, "own", &what, Weight::Leniency, request));
    }
    for (kind, body) in
        [("a form", format!("access_token={token}")), ("JSON", format!("{{\"access_token\":\"{token}\"}}"))]
    {
        let media = if kind == "a form" { "application/x-www-form-urlencoded" } else { "application/json" };
        let template = format!(
            "{{R}} HTTP/1.1~{{H}}Connection: close~Content-Type: {media}~Content-Length: {}~~{body}",
            body.len()
        );
        cases.push(case(
            Class::Placement,
            "RFC 6750 2.2",
            &format!("in {kind}"),
            Weight::Leniency,
            raw(target, &template),
        ));
    }
    let trailer = format!(
        "{{R}} HTTP/1.1~{{H}}Connection: close~Transfer-Encoding: chunked~Trailer: Authorization~~0~Authorization: Bearer {token}~~"
    );
    cases.push(case(Class::Placement, "RFC 9110 6.5.1", "in a trailer", Weight::Leniency, raw(target, &trailer)));
    cases.extend(several(target));
    cases
}

/// More than one credential in a request: two parties may take different ones.
fn several(target: &Target) -> Vec<Case> {
    let good = format!("Bearer {}", target.token.text);
    let [header, claims, _] = &target.token.parts;
    let bad = format!("Bearer {header}.{claims}.AAAA");
    let fields = [
        ("the good token twice", vec![good.clone(), good.clone()]),
        ("a bad token before the good one", vec![bad.clone(), good.clone()]),
        ("a bad token behind the good one", vec![good.clone(), bad.clone()]),
        ("Basic before the good token", vec!["Basic eDp5".to_owned(), good.clone()]),
        ("Basic behind the good token", vec![good.clone(), "Basic eDp5".to_owned()]),
        ("an empty field before the good token", vec![String::new(), good.clone()]),
        ("an empty field behind the good token", vec![good.clone(), String::new()]),
    ];
    let two = fields.into_iter().map(|(what, values)| {
        let lines: Vec<_> = values.iter().map(|value| format!("Authorization: {value}")).collect();
        let lines: Vec<_> = lines.iter().map(String::as_bytes).collect();
        let what = format!("two fields: {what}");
        case(Class::Placement, "RFC 9110 5.3", &what, Weight::Leniency, request(target, &target.path, &lines))
    });
    let lists = [
        ("a bad token, the good one", format!("{bad}, {good}")),
        ("Basic, the good token", format!("Basic eDp5, {good}")),
        ("nothing, the good token", format!(", {good}")),
    ];
    let lists = lists.into_iter().map(|(what, value)| {
        let line = format!("Authorization: {value}");
        let request = request(target, &target.path, &[line.as_bytes()]);
        case(Class::Placement, "RFC 9110 11.6.2", &format!("a list: {what}"), Weight::Leniency, request)
    });
    two.chain(lists).collect()
}

fn case(class: Class, source: &'static str, what: &str, weight: Weight, request: Request) -> Case {
    Case { class, source, what: what.to_owned(), weight, request, proof: Proof::Taken }
}
