//! What OpenTelemetry's variables say of spans and where they go, as every SDK reads them (OpenTelemetry specification, *Environment
//! Variable Specification* and *OTLP Exporter Configuration*). An empty variable is one that is not there.

use std::time::Duration;

use url::form_urlencoded;

/// What the environment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `OTEL_SDK_DISABLED`: nothing is traced.
    pub is_disabled: bool,
    /// Where spans are posted, `/v1/traces` included: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, or made of `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: Option<String>,
    /// Whether the endpoint is for gRPC (`OTEL_EXPORTER_OTLP_PROTOCOL`), which is not spoken here.
    pub is_grpc: bool,
    /// What describes this process: `OTEL_RESOURCE_ATTRIBUTES`, with `OTEL_SERVICE_NAME` in the place of its `service.name`.
    pub resource: Vec<(String, String)>,
    /// Header fields of each post, which may be secrets: `OTEL_EXPORTER_OTLP_HEADERS`.
    pub headers: Vec<(String, String)>,
    /// How long a post may take: `OTEL_EXPORTER_OTLP_TIMEOUT`.
    pub timeout: Option<Duration>,
}

impl Environment {
    /// Reads the variables.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| get(name).filter(|value| !value.trim().is_empty());
        let exporter = |name: &str| {
            let own = get(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"));
            own.or_else(|| get(&format!("OTEL_EXPORTER_OTLP_{name}")))
        };
        let general =
            || get("OTEL_EXPORTER_OTLP_ENDPOINT").map(|base| format!("{}/v1/traces", base.trim_end_matches('/')));
        let mut resource = get("OTEL_RESOURCE_ATTRIBUTES").map(|list| pairs(&list)).unwrap_or_default();
        if let Some(name) = get("OTEL_SERVICE_NAME") {
            resource.retain(|(key, _)| key != "service.name");
            resource.push(("service.name".to_owned(), name));
        }
        Self {
            is_disabled: get("OTEL_SDK_DISABLED").is_some_and(|value| value.trim().eq_ignore_ascii_case("true")),
            endpoint: get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(general),
            is_grpc: exporter("PROTOCOL").is_some_and(|protocol| protocol.trim() == "grpc"),
            resource,
            headers: exporter("HEADERS").map(|list| pairs(&list)).unwrap_or_default(),
            timeout: exporter("TIMEOUT").and_then(|millis| millis.trim().parse().ok()).map(Duration::from_millis),
        }
    }
}

/// `key=value,key=value`, with percent-encoding in the values (W3C Baggage).
fn pairs(list: &str) -> Vec<(String, String)> {
    let part = |part: &str| {
        // Only the encoding is shared with forms: there, these two mean something of their own.
        let part = part.trim().replace('&', "%26").replace('+', "%2B");
        let (key, value) = form_urlencoded::parse(part.as_bytes()).next()?;
        let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
        (!key.is_empty() && part.contains('=')).then_some((key, value))
    };
    list.split(',').filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Environment {
        let get = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Environment::read(get)
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn what_is_for_traces_goes_before_what_is_for_all_and_empty_is_absent() {
        let general = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_SDK_DISABLED", "TRUE"),
            ("OTEL_SERVICE_NAME", ""),
        ]);
        assert_eq!(general.endpoint.as_deref(), Some("http://127.0.0.1:4318/v1/traces"));
        assert_eq!((general.timeout, general.is_grpc), (Some(Duration::from_millis(1500)), true));
        assert_eq!((general.is_disabled, general.resource.as_slice()), (true, &[][..]));
        let own = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector.example/otlp"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_SDK_DISABLED", "1"),
        ]);
        assert_eq!(own.endpoint.as_deref(), Some("https://collector.example/otlp"));
        assert!(!own.is_grpc && !own.is_disabled, "only true disables");
        assert_eq!(read(&[]), Environment::default());
    }

    #[test]
    fn lists_are_decoded_and_the_name_of_the_service_has_its_own_variable() {
        let read = read(&[
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,team = mail%2Csms , broken,=b,x=a+b&c=d"),
            ("OTEL_SERVICE_NAME", "email"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20YTpi==,x-tenant=7"),
        ]);
        assert_eq!(read.resource, [pair("team", "mail,sms"), pair("x", "a+b&c=d"), pair("service.name", "email")]);
        assert_eq!(read.headers, [pair("authorization", "Basic YTpi=="), pair("x-tenant", "7")]);
    }
}
