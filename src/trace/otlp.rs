//! Spans in the words of OpenTelemetry's protocol: the JSON encoding of `ExportTraceServiceRequest` (OTLP 1, §JSON Protobuf
//! Encoding), in which ids are hexadecimal and 64-bit numbers are strings.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::span::Span;

/// What holds for all spans of this process.
pub(super) struct Origin {
    /// The attributes of the resource.
    resource: Vec<Value>,
    /// `http` or `https`.
    scheme: &'static str,
}

impl Origin {
    /// That of a process of which the operator says this.
    pub(super) fn new(resource: &[(String, String)], scheme: &'static str) -> Self {
        let instance = uuid::Uuid::now_v7().to_string();
        let own = [
            ("service.name", "callgate"),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", &instance),
        ];
        let own = own.into_iter().filter(|(key, _)| resource.iter().all(|(known, _)| known != key));
        let said = resource.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        Self { resource: own.chain(said).map(|(key, value)| text(key, value)).collect(), scheme }
    }
}

/// One request with these spans.
pub(super) fn request(origin: &Origin, spans: &[Span]) -> Value {
    let spans: Vec<_> = spans.iter().flat_map(|span| both(origin, span)).collect();
    json!({
        "resourceSpans": [{
            "resource": {"attributes": origin.resource},
            "scopeSpans": [{"scope": {"name": "callgate", "version": env!("CARGO_PKG_VERSION")}, "spans": spans}],
        }]
    })
}

/// The span of a request, and that of its authentication within. Its attributes are those of OpenTelemetry's semantic conventions for
/// servers of HTTP, and ours.
fn both(origin: &Origin, span: &Span) -> [Value; 2] {
    let began = span.ended.checked_sub(span.took).unwrap_or(span.ended);
    let place = &span.place;
    let is_known = METHODS.contains(&span.method.as_str());
    let mut attributes = vec![
        text("http.request.method", if is_known { &span.method } else { "_OTHER" }),
        text("url.scheme", origin.scheme),
        text("url.path", &span.path),
        text("callgate.decision", span.decision),
        text("callgate.request_id", &span.request_id),
    ];
    if !is_known {
        attributes.push(text("http.request.method_original", &span.method));
    }
    if span.status > 0 {
        attributes.push(number("http.response.status_code", u64::from(span.status)));
    }
    if span.status >= 500 {
        let status = span.status.to_string();
        attributes.push(text("error.type", span.reason.unwrap_or(&status)));
    }
    if let Some(authority) = &span.authority {
        attributes.extend(address("server", authority));
    }
    if let Some(client) = &span.client {
        attributes.extend(address("client", client));
    }
    let more = [
        ("callgate.reason", span.reason),
        ("callgate.caller", span.caller.as_deref()),
        ("network.protocol.version", span.protocol_version),
    ];
    attributes.extend(more.into_iter().filter_map(|(key, value)| value.map(|value| text(key, value))));
    // A refusal is the sidecar doing its work; only an answer of 5xx is a fault (OpenTelemetry HTTP semantic conventions).
    let status = if span.status >= 500 { json!({"code": ERROR}) } else { json!({}) };
    let mut whole = json!({
        "traceId": place.trace,
        "spanId": place.span,
        "name": if is_known { &span.method } else { "HTTP" },
        "kind": SERVER,
        "startTimeUnixNano": nanos(began),
        "endTimeUnixNano": nanos(span.ended),
        "attributes": attributes,
        "status": status,
        "flags": 1,
    });
    if let (Some(parent), Some(whole)) = (&place.parent, whole.as_object_mut()) {
        whole.insert("parentSpanId".to_owned(), json!(parent));
    }
    let (_, child) = uuid::Uuid::now_v7().as_u64_pair();
    let authentication = json!({
        "traceId": place.trace,
        "spanId": format!("{child:016x}"),
        "parentSpanId": place.span,
        "name": "authenticate",
        "kind": INTERNAL,
        "startTimeUnixNano": nanos(began),
        "endTimeUnixNano": nanos(began.checked_add(span.authentication).unwrap_or(began)),
        "attributes": [text("callgate.decision", span.decision)],
        "status": {},
        "flags": 1,
    });
    [whole, authentication]
}

/// A host, which may be an IP address or a Unix peer, and its port if it has one.
fn address(whose: &str, written: &str) -> Vec<Value> {
    let split = written.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let (host, port) = split.map_or((written, None), |(host, port)| (host, Some(port)));
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = port.map(|port| number(&format!("{whose}.port"), u64::from(port)));
    [text(&format!("{whose}.address"), host)].into_iter().chain(port).collect()
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn number(key: &str, value: u64) -> Value {
    json!({"key": key, "value": {"intValue": value.to_string()}})
}

fn nanos(time: SystemTime) -> String {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos().to_string()
}

/// `SpanKind` and `StatusCode` of the protocol.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const ERROR: u8 = 2;

/// The methods that are named as they are (RFC 9110 §9, RFC 5789); any other is `_OTHER`, since there are as many as clients like.
const METHODS: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];
