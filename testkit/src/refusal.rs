//! What every refusal must look like, whatever its reason (RFC 6750 section 3, RFC 9457).

use serde_json::Value;

use super::http::Answer;

/// Asserts everything that all 401s have in common, and returns the `detail` for what is special.
pub fn assert_unauthorized(answer: &Answer, reason: &str) -> String {
    assert_eq!(answer.status(), 401, "{}", answer.text());
    let detail = assert_problem(answer, reason);
    let challenges = answer.head.all("www-authenticate");
    assert_eq!(challenges.len(), 1, "one challenge: {challenges:?}");
    let parameters = parse_challenge(challenges[0]);
    let parameter = |name: &str| parameters.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    assert!(parameter("realm").is_some_and(|realm| !realm.is_empty()), "a realm: {parameters:?}");
    if reason == "token_missing" {
        assert_eq!(parameter("error"), None, "no error without a token (RFC 6750 section 3.1)");
        assert_eq!(parameter("error_description"), None, "no error without a token");
    } else {
        assert_eq!(parameter("error"), Some("invalid_token"));
        assert_eq!(parameter("error_description"), Some(format!("{reason}: {detail}").as_str()));
    }
    detail
}

/// Asserts the problem details that every answer of our own has, and returns the `detail`.
pub fn assert_problem(answer: &Answer, reason: &str) -> String {
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
    let problem = answer.json();
    assert_eq!(problem["type"], format!("urn:callgate:reason:{reason}"), "{problem:#}");
    assert_eq!(problem["reason"], reason, "{problem:#}");
    assert_eq!(problem["status"], answer.status(), "{problem:#}");
    for member in ["title", "detail", "request_id"] {
        assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {problem:#}");
    }
    problem["detail"].as_str().expect("it is a text").to_owned()
}

/// The id under which the audit knows this refusal.
pub fn request_id(answer: &Answer) -> String {
    let Value::String(id) = answer.json()["request_id"].take() else { panic!("no request id: {}", answer.text()) };
    id
}

/// Parses `Bearer name="value", …` strictly; panics on whatever RFC 6750 section 3 does not allow.
fn parse_challenge(challenge: &str) -> Vec<(String, String)> {
    let mut rest = challenge.strip_prefix("Bearer ").unwrap_or_else(|| panic!("the scheme: {challenge}"));
    let mut parameters = Vec::new();
    loop {
        let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("name=\"value\": {challenge}"));
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{challenge}");
        let (value, after) = after.split_once('"').unwrap_or_else(|| panic!("an end quote: {challenge}"));
        let allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        assert!(value.bytes().all(allowed), "the characters of {name}: {challenge}");
        parameters.push((name.to_owned(), value.to_owned()));
        if after.is_empty() {
            return parameters;
        }
        rest = after.strip_prefix(", ").unwrap_or_else(|| panic!("a comma: {challenge}"));
    }
}
