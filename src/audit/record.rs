//! What one line of the audit holds. The field names are the schema (`docs/audit.schema.json`), and `version` is theirs. A
//! record never holds a token, a signature or a query.

use std::collections::BTreeMap;
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::{UnixTime, two_digits};
use crate::rejection::Reason;

/// One request.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Audit record of a request", deny_unknown_fields, extend("additionalProperties" = false))]
pub struct Record<'a> {
    /// When it was answered, RFC 3339 in UTC with milliseconds.
    #[serde(serialize_with = "time")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub time: SystemTime,
    /// Always `request`.
    #[schemars(extend("const" = EVENT))]
    pub event: &'static str,
    /// The version of this schema. It grows when a field's meaning changes or a field goes; new fields do not change it.
    #[schemars(extend("const" = VERSION))]
    pub version: u8,
    /// The id that a refusal's body also names.
    pub request_id: &'a str,
    /// The id of the trace that the request belongs to (W3C Trace Context), if it belongs to one.
    #[schemars(extend("pattern" = "^[0-9a-f]{32}$"))]
    pub trace_id: Option<&'a str>,
    /// What was decided.
    pub decision: RecordedDecision,
    /// Why it was or would be refused, or why the upstream's answer did not come.
    #[serde(serialize_with = "reason")]
    #[schemars(with = "Option<String>")]
    pub reason: Option<Reason>,
    /// Who called; only from a verified token.
    pub caller: Option<&'a str>,
    /// Who a token that did not pass says is calling. Unverified: anybody can write it. Cleaned, at most 64 characters.
    pub claimed_caller: Option<&'a str>,
    /// The configured issuer that the token names.
    pub issuer: Option<&'a str>,
    /// The token's `kid`, bounded. In a refusal anybody can have written it.
    pub kid: Option<&'a str>,
    /// The token's `alg`, bounded. In a refusal anybody can have written it.
    pub alg: Option<&'a str>,
    /// The token's `jti`; only from a verified token.
    pub jti: Option<&'a str>,
    /// Further claims of an accepted token, under the names that `record` of its issuer gives them; `null` if there are none.
    #[serde(serialize_with = "claims")]
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub claims: &'a [(String, String)],
    /// As sent.
    pub method: &'a str,
    /// Without query, at most 1024 characters.
    pub path: &'a str,
    /// The status that was answered; 0 if the client left, or the request was cut, before there was one.
    pub status: u16,
    /// Body bytes from the client.
    pub request_bytes: u64,
    /// Body bytes to the client.
    pub response_bytes: u64,
    /// From the request's head to the end of its answer, in microseconds.
    pub duration_us: u64,
    /// The time spent on deciding, waiting for keys included, in microseconds.
    pub authentication_us: u64,
    /// From the decision to the head of the upstream's answer, in microseconds.
    pub upstream_us: Option<u64>,
    /// Address and port of the peer; over a Unix socket the user and the process at its other end, `unix:uid=1000,pid=77`.
    pub client: Option<&'a str>,
    /// With `forwarding.trusted_hops`, the first address that the trusted proxies put into `X-Forwarded-For`, cleaned, at most 64
    /// characters. It is not there without them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarded_for: Option<&'a str>,
}

/// What the audit says about itself when records were lost, as soon as it can.
#[derive(Debug, Serialize)]
pub struct Lost {
    /// When this line was made.
    #[serde(serialize_with = "time")]
    pub time: SystemTime,
    /// Always `lost`.
    pub event: &'static str,
    /// As in [`Record`].
    pub version: u8,
    /// How many records are missing before this line, since the last such line.
    pub records: u64,
}

/// What was decided, as recorded and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordedDecision {
    /// A token was accepted.
    Forward,
    /// The route is public.
    Pass,
    /// It was refused.
    Reject,
    /// It would have been refused, and was forwarded without a caller's name: the mode is `report`.
    WouldReject,
}

impl RecordedDecision {
    /// All verdicts.
    pub const ALL: [Self; 4] = [Self::Forward, Self::Pass, Self::Reject, Self::WouldReject];

    /// The word in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Pass => "pass",
            Self::Reject => "reject",
            Self::WouldReject => "would_reject",
        }
    }
}

/// The JSON Schema of the records.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Record<'_>).to_value()
}

/// RFC 3339 in UTC with milliseconds; a time before 1970 is its beginning.
#[must_use]
pub fn timestamp(time: SystemTime) -> [u8; 24] {
    let millis = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_millis());
    let ([_, m1], [m2, m3]) = (two_digits(millis / 100), two_digits(millis));
    let [seconds @ .., _] = UnixTime::from(time).rfc_3339();
    let mut written = *b"0000-00-00T00:00:00.000Z";
    let [to @ .., _, to1, to2, to3, _] = &mut written;
    (*to, *to1, *to2, *to3) = (seconds, m1, m2, m3);
    written
}

fn time<S: serde::Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    String::from_utf8_lossy(&timestamp(*time)).serialize(serializer)
}

fn reason<S: serde::Serializer>(reason: &Option<Reason>, serializer: S) -> Result<S::Ok, S::Error> {
    reason.map(Reason::as_str).serialize(serializer)
}

fn claims<S: serde::Serializer>(claims: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    by_name(claims).serialize(serializer)
}

/// Claims as they are recorded.
pub(super) fn by_name(claims: &[(String, String)]) -> Option<BTreeMap<&str, &str>> {
    let claims: BTreeMap<_, _> = claims.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    (!claims.is_empty()).then_some(claims)
}

/// What a request's record is called.
pub const EVENT: &str = "request";

/// The version of the schema.
pub const VERSION: u8 = 1;

/// How many characters of a path are recorded.
pub const PATH_SHOWN: usize = 1024;
