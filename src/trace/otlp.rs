//! Spans in the words of OpenTelemetry's protocol: the JSON encoding of `ExportTraceServiceRequest` (OTLP 1, §JSON Protobuf
//! Encoding), in which ids are hexadecimal and 64-bit numbers are strings.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::Span;

/// One request with these spans.
pub(super) fn request(spans: &[Span]) -> Value {
    let spans: Vec<_> = spans.iter().flat_map(both).collect();
    let version = env!("CARGO_PKG_VERSION");
    json!({
        "resourceSpans": [{
            "resource": {"attributes": [text("service.name", "callgate"), text("service.version", version)]},
            "scopeSpans": [{"scope": {"name": "callgate", "version": version}, "spans": spans}],
        }]
    })
}

/// The span of a request, and that of its authentication within.
fn both(span: &Span) -> [Value; 2] {
    let began = span.ended.checked_sub(span.took).unwrap_or(span.ended);
    let place = &span.place;
    let mut attributes = vec![
        text("http.request.method", &span.method),
        text("url.path", &span.path),
        number("http.response.status_code", u64::from(span.status)),
        text("callgate.decision", span.decision),
        text("callgate.request_id", &span.request_id),
    ];
    let more = [
        ("callgate.reason", span.reason),
        ("callgate.caller", span.caller.as_deref()),
        ("client.address", span.client.as_deref()),
    ];
    attributes.extend(more.into_iter().filter_map(|(key, value)| value.map(|value| text(key, value))));
    // A refusal is the sidecar doing its work; only an answer of 5xx is a fault (OpenTelemetry HTTP semantic conventions).
    let status = if span.status >= 500 { json!({"code": ERROR}) } else { json!({}) };
    let mut whole = json!({
        "traceId": place.trace,
        "spanId": place.span,
        "name": span.method,
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
