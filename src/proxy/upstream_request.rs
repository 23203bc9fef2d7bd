//! The request as the upstream gets it. Names are compared as a backend could fold them, what a client sent under ours is
//! removed whoever it is, and what we say is inserted last. It is called anew for each try, on a fresh copy.

use bytes::Bytes;
use http::header::{CONNECTION, COOKIE, HOST, TRAILER, UPGRADE};
use http::{HeaderName, HeaderValue, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::ServerSession;

use super::authenticate::PROOF;
use super::context::RequestContext;
use crate::audit::RecordedDecision;
use crate::forwarding::{ForwardingPolicy, TokenForwarding};
use crate::http1::fields::{elements, letters, trimmed};
use crate::http1::target;
use crate::request::{WORKLOAD_PROOF, WORKLOAD_TOKEN};

/// Makes the upstream's request out of a client's, which `session` has as it came.
///
/// # Errors
/// If a value is no header value, which none of ours should be.
pub(super) fn prepare(
    upstream: &mut RequestHeader,
    session: &ServerSession,
    ctx: &RequestContext,
) -> pingora::Result<()> {
    let caller = ctx.policy.authenticator.caller_rule();
    let token = ctx.policy.authenticator.token_field();
    let rule = ctx.policy.forward;
    if let Some(origin) = target::origin_form(upstream.raw_path()) {
        upstream.set_raw_path(&origin)?;
    }
    let hops = ctx.policy.certificate_hops.as_ref().map(|hops| (hops, hops.include(ctx.peer_ip())));
    let is_ours = |name: &HeaderName| {
        let name = name.as_str();
        let is_proof = token.takes_dpop() && letters(name).eq(PROOF.as_str().bytes())
            || token.takes_workload() && is_of_workload(name);
        let is_certificate = hops.is_some_and(|(hops, from_hop)| hops.remove(name, from_hop));
        let is_reserved = folds_to(name, &RESERVED_HEADERS) || is_proof || is_certificate;
        caller.is_alias(name) || token.is_disguise(name) || is_reserved
    };
    let is_unproven = matches!(ctx.record.recorded_decision(), RecordedDecision::Pass | RecordedDecision::WouldReject);
    let is_stronger = |name: &HeaderName| is_unproven && folds_to(name.as_str(), &OVERRIDE_HEADERS);
    remove(upstream, |name| is_ours(name) || is_stronger(name));
    // CGI programs read it as HTTP_PROXY, which names the proxy of their own requests; and no trailer goes on.
    upstream.remove_header(&PROXY);
    upstream.remove_header(&TRAILER);
    if upstream.version != Version::HTTP_2 {
        join_cookies(upstream)?;
    }
    if rule.token == TokenForwarding::Withhold {
        upstream.remove_header(&ctx.policy.token_header);
        if token.takes_workload() {
            upstream.remove_header(WORKLOAD_TOKEN);
        }
    }
    let peer = ctx.info.as_deref().and_then(|info| info.peer().address.as_deref());
    set_forwarded_headers(upstream, session, peer, rule)?;
    upstream.append_header("x-request-id", ctx.record.request_id.as_str())?;
    let version = if session.req_header().version == Version::HTTP_2 { "2 callgate" } else { "1.1 callgate" };
    upstream.append_header("Via", HeaderValue::from_static(version))?;
    for (header, value) in caller.headers(ctx.record.identity()) {
        upstream.insert_header(header.to_owned(), value)?;
    }
    if let Some(traceparent) = ctx.record.traceparent() {
        upstream.insert_header("traceparent", traceparent)?;
    }
    Ok(())
}

/// `X-Forwarded-For`, `-Proto` and `-Host`. Of what came, only the part that trusted proxies added is kept; `Forwarded` is not, so
/// that there are never two stories.
fn set_forwarded_headers(
    upstream: &mut RequestHeader,
    session: &ServerSession,
    peer: Option<&str>,
    rule: ForwardingPolicy,
) -> pingora::Result<()> {
    let came = &session.req_header().headers;
    let mut path = rule.trusted_path(came.get_all("x-forwarded-for").iter().map(HeaderValue::as_bytes));
    path.extend(peer.map(str::as_bytes));
    if !path.is_empty() {
        upstream.append_header("x-forwarded-for", path.join(&b", "[..]))?;
    }
    let trusted = |name: &str| {
        let value = came.get(name).filter(|_| rule.trusted_hops > 0 && came.get_all(name).iter().count() == 1)?;
        Some(trimmed(value.as_bytes()))
    };
    let secure = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
    let seen: &[u8] = if secure { b"https" } else { b"http" };
    let scheme = trusted("x-forwarded-proto").filter(|scheme| matches!(*scheme, b"http" | b"https")).unwrap_or(seen);
    upstream.append_header("x-forwarded-proto", scheme)?;
    let head = session.req_header();
    let host = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    let host = host.or_else(|| Some(head.headers.get(HOST)?.as_bytes()));
    if let Some(host) = trusted("x-forwarded-host").filter(|host| target::is_host(host)).or(host) {
        upstream.append_header("x-forwarded-host", host)?;
    }
    Ok(())
}

/// Takes away the empty piece that ends a body, so that its end is written once. Pingora writes an empty piece to an HTTP/1 peer as a
/// chunk of size 0, which is the last chunk (RFC 9112 §7.1), and writes another last chunk because the body has ended. An empty
/// piece in the middle stays: Pingora does not write it, and takes `None` for the end.
pub(super) fn end_once(piece: &mut Option<Bytes>, end: bool) {
    if end && piece.as_ref().is_some_and(Bytes::is_empty) {
        *piece = None;
    }
}

/// Takes away from an answer what was only meant for the connection it came on (RFC 9110 §7.6.1). Pingora frames the answer anew
/// and writes its own `Connection`. Trailers pass from HTTP/2 to HTTP/2 only, so nothing else announces them.
pub(super) fn strip_hop_by_hop(answer: &mut ResponseHeader, client: Version) {
    if (answer.version, client) != (Version::HTTP_2, Version::HTTP_2) {
        answer.remove_header(&TRAILER);
    }
    let listed = answer.headers.get_all(CONNECTION).iter();
    let listed: Vec<_> = listed
        .flat_map(|value| elements(value.as_bytes()))
        // Most common, and written anew by Pingora.
        .filter(|name| !matches!(*name, b"keep-alive" | b"close"))
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .filter(|name| !matches!(name.as_str(), "upgrade" | "transfer-encoding" | "content-length"))
        .collect();
    for name in listed.iter().chain(&[KEEP_ALIVE, PROXY_CONNECTION]) {
        answer.remove_header::<HeaderName>(name);
    }
    if !matches!(answer.status.as_u16(), 101 | 426) {
        answer.remove_header(&UPGRADE);
    }
}

/// Joins the fields into which HTTP/2 lets a client split its cookies, for an upstream that may read but one (RFC 9113 §8.2.3).
fn join_cookies(upstream: &mut RequestHeader) -> pingora::Result<()> {
    let pieces: Vec<_> = upstream.headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if pieces.len() > 1 {
        let joined = pieces.join(&b"; "[..]);
        upstream.insert_header(COOKIE, joined)?;
    }
    Ok(())
}

fn remove(head: &mut RequestHeader, is_unwanted: impl Fn(&HeaderName) -> bool) {
    while let Some(name) = head.headers.keys().find(|name| is_unwanted(name)).cloned() {
        head.remove_header::<HeaderName>(&name);
    }
}

/// Whether a name is that of a workload's proof, in whatever spelling, or could be taken for the one of its token. Pingora has the names
/// in lower case.
fn is_of_workload(name: &str) -> bool {
    let is_spelling_of = |known: &str| letters(name).eq(letters(known));
    is_spelling_of(WORKLOAD_PROOF) || (name != WORKLOAD_TOKEN && is_spelling_of(WORKLOAD_TOKEN))
}

/// Whether a name has the letters and digits of one of these, in whatever spelling.
fn folds_to(name: &str, folded: &[&str]) -> bool {
    // The names of both lists begin with one of these.
    if !name.bytes().find(u8::is_ascii_alphanumeric).is_some_and(|first| matches!(first, b'F' | b'X' | b'f' | b'x')) {
        return false;
    }
    folded.iter().any(|known| letters(name).eq(known.bytes()))
}

/// What only we say to the upstream, folded. The first three we write ourselves; the others would contradict them.
const RESERVED_HEADERS: [&str; 13] = [
    "xforwardedfor",
    "xforwardedproto",
    "xforwardedhost",
    "xrequestid",
    "forwarded",
    "forwardedfor",
    "xforwarded",
    "xforwardedport",
    "xforwardedprefix",
    "xforwardedscheme",
    "xforwardedserver",
    "xforwardedssl",
    "xrealip",
];

/// Fields by which some frameworks replace the method or the path. On a public route they could lead to one that is not.
const OVERRIDE_HEADERS: [&str; 8] = [
    "xhttpmethod",
    "xhttpmethodoverride",
    "xmethodoverride",
    "xoriginalmethod",
    "xoriginaluri",
    "xoriginalurl",
    "xrewriteuri",
    "xrewriteurl",
];

const PROXY: HeaderName = HeaderName::from_static("proxy");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
