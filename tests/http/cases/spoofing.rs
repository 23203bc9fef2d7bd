//! Names under which a client could say who it is. The upstream hears the token's caller and no other.

use super::{Case, play};
use testkit::stage::Stage;

#[test]
fn whoever_a_client_says_it_is_the_upstream_hears_of_the_token_alone() {
    let stage = Stage::set();
    play(&stage, SPOOFED, |played| {
        played.is_forwarded(202, &["billing"])?;
        let received = played.stage.email.received();
        let head = &received.last().ok_or("nothing")?.head;
        let told = head.headers.iter().find(|(_, value)| value.contains("admin") || value.contains("root"));
        told.map_or(Ok(()), |told| Err(format!("the upstream was told {told:?}")))
    });
    stage.end();
}

#[test]
fn names_that_are_nobodys_alias_go_through() {
    let stage = Stage::set();
    play(&stage, OTHERS, |played| {
        played.is_forwarded(202, &["billing"])?;
        let received = played.stage.email.received();
        let head = &received.last().ok_or("nothing")?.head;
        let is_there = head.headers.iter().any(|(_, value)| value == "kept");
        if is_there { Ok(()) } else { Err(format!("it is gone: {head:?}")) }
    });
    stage.end();
}

const SPOOFED: &[Case] = &[
    ("as it is written", "POST /send HTTP/1.1~Host: h~{T}X-Caller-Service: admin~~"),
    ("before the token", "POST /send HTTP/1.1~X-Caller-Service: admin~Host: h~{T}~"),
    ("in small letters", "POST /send HTTP/1.1~Host: h~{T}x-caller-service: admin~~"),
    ("in capitals", "POST /send HTTP/1.1~Host: h~{T}X-CALLER-SERVICE: admin~~"),
    ("with underscores", "POST /send HTTP/1.1~Host: h~{T}X_Caller_Service: admin~~"),
    ("with one underscore", "POST /send HTTP/1.1~Host: h~{T}X-Caller_Service: admin~~"),
    ("with periods", "POST /send HTTP/1.1~Host: h~{T}X.Caller.Service: admin~~"),
    ("without hyphens", "POST /send HTTP/1.1~Host: h~{T}XCallerService: admin~~"),
    ("with two hyphens", "POST /send HTTP/1.1~Host: h~{T}X--Caller--Service: admin~~"),
    ("with a hyphen at its end", "POST /send HTTP/1.1~Host: h~{T}X-Caller-Service-: admin~~"),
    ("with an underscore before it", "POST /send HTTP/1.1~Host: h~{T}_X-Caller-Service: admin~~"),
    ("with tildes", "POST /send HTTP/1.1~Host: h~{T}X+Caller!Service: admin~~"),
    ("with every strange character", "POST /send HTTP/1.1~Host: h~{T}X#$%Caller&'*Service^`|: admin~~"),
    ("twice", "POST /send HTTP/1.1~Host: h~{T}X-Caller-Service: admin~X-Caller-Service: root~~"),
    ("twice in two spellings", "POST /send HTTP/1.1~Host: h~{T}X_Caller_Service: admin~x.caller.service: root~~"),
    ("around the token", "POST /send HTTP/1.1~Host: h~X-Caller-Service: admin~{T}X-Caller-Service: root~~"),
    ("empty", "POST /send HTTP/1.1~Host: h~{T}X-Caller-Service:~~"),
    ("as a list", "POST /send HTTP/1.1~Host: h~{T}X-Caller-Service: billing, admin~~"),
    ("beyond ASCII", "POST /send HTTP/1.1~Host: h~{T}X-Caller-Service: admin\u{e9}~~"),
    ("listed in Connection", "POST /send HTTP/1.1~Host: h~{T}Connection: X-Caller-Service~X-Caller-Service: admin~~"),
    ("listed in Connection alone", "POST /send HTTP/1.1~Host: h~{T}Connection: x-caller-service~~"),
    ("listed in Connection after close", "POST /send HTTP/1.1~Host: h~{T}Connection: close, X-Caller-Service~~"),
    ("listed in two Connections", "POST /send HTTP/1.1~Host: h~{T}Connection: close~Connection: X-Caller-Service~~"),
    (
        "an alias listed in Connection",
        "POST /send HTTP/1.1~Host: h~{T}Connection: X_Caller_Service~X_Caller_Service: admin~~",
    ),
    (
        "listed in Trailer",
        "POST /send HTTP/1.1~Host: h~{T}Trailer: X-Caller-Service~Transfer-Encoding: chunked~~0~X-Caller-Service: admin~~",
    ),
    ("in a trailer", "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: chunked~~2~{}~0~X-Caller-Service: admin~~"),
    (
        "an alias in a trailer",
        "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: chunked~~2~{}~0~X_Caller_Service: admin~~",
    ),
    (
        "the token in a trailer",
        "POST /send HTTP/1.1~Host: h~{T}Transfer-Encoding: chunked~~0~Authorization: Bearer admin~~",
    ),
    ("in a name of our hop", "POST /send HTTP/1.1~Host: h~{T}X-Forwarded-For: admin~~"),
    ("in a name of our hop with underscores", "POST /send HTTP/1.1~Host: h~{T}X_Forwarded_For: admin~~"),
    ("as the client's host", "POST /send HTTP/1.1~Host: h~{T}X-Forwarded-Host: admin~~"),
    ("as the client's host, twice", "POST /send HTTP/1.1~Host: h~{T}X-Forwarded-Host: admin~X-Forwarded-Host: root~~"),
    ("as the client's scheme", "POST /send HTTP/1.1~Host: h~{T}X-Forwarded-Proto: admin~~"),
    ("as the client's port", "POST /send HTTP/1.1~Host: h~{T}X-Forwarded-Port: admin~~"),
    ("as the client's prefix", "POST /send HTTP/1.1~Host: h~{T}X-Forwarded-Prefix: /admin~~"),
    ("as Forwarded", "POST /send HTTP/1.1~Host: h~{T}Forwarded: for=admin;host=root~~"),
    ("as the client's real address", "POST /send HTTP/1.1~Host: h~{T}X-Real-IP: admin~~"),
    ("as the request's id", "POST /send HTTP/1.1~Host: h~{T}X-Request-Id: admin~~"),
    ("as the connection's life", "POST /send HTTP/1.1~Host: h~{T}Keep-Alive: admin~~"),
    ("for a proxy", "POST /send HTTP/1.1~Host: h~{T}Proxy-Authorization: Basic admin~~"),
    ("as a proxy's connection", "POST /send HTTP/1.1~Host: h~{T}Proxy-Connection: admin~~"),
];

const OTHERS: &[Case] = &[
    ("a longer name", "POST /send HTTP/1.1~Host: h~{T}X-Caller-Service-Id: kept~~"),
    ("a shorter name", "POST /send HTTP/1.1~Host: h~{T}X-Caller: kept~~"),
    ("a name with a digit", "POST /send HTTP/1.1~Host: h~{T}X-Caller-Service2: kept~~"),
    ("a trace", "POST /send HTTP/1.1~Host: h~{T}traceparent: kept~~"),
    ("a trace's state", "POST /send HTTP/1.1~Host: h~{T}tracestate: kept~~"),
    ("baggage", "POST /send HTTP/1.1~Host: h~{T}baggage: kept~~"),
    ("a cookie", "POST /send HTTP/1.1~Host: h~{T}Cookie: kept~~"),
    ("an idempotency key", "POST /send HTTP/1.1~Host: h~{T}Idempotency-Key: kept~~"),
    ("a method for a framework, from a caller", "POST /send HTTP/1.1~Host: h~{T}X-HTTP-Method-Override: kept~~"),
];
