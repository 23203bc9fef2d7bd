//! For how long a server says its answer stays fresh (RFC 9111 §4.2.1): `max-age`, or else `Expires`, less the time it has
//! spent in caches. Pure.

use std::time::Duration;

use reqwest::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, HeaderMap, HeaderName};

/// The lifetime that the headers state, if they do. `no-store` and `no-cache` state none: they are about keeping answers, and
/// their senders change keys no more often than others.
pub(super) fn stated(headers: &HeaderMap) -> Option<Duration> {
    let max_age =
        headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok()).flat_map(max_ages).min();
    let lifetime = match max_age {
        Some(seconds) => Duration::from_secs(seconds),
        None => date(headers, EXPIRES)?.duration_since(date(headers, DATE)?).unwrap_or_default(),
    };
    let age = text(headers, AGE).and_then(|age| age.trim().parse().ok()).map_or(Duration::ZERO, Duration::from_secs);
    Some(lifetime.saturating_sub(age))
}

fn max_ages(directives: &str) -> impl Iterator<Item = u64> {
    directives.split(',').filter_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        let is_max_age = name.trim().eq_ignore_ascii_case("max-age");
        is_max_age.then(|| value.trim().trim_matches('"').parse().ok()).flatten()
    })
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<std::time::SystemTime> {
    httpdate::parse_http_date(text(headers, name)?).ok()
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn lifetime(headers: &[(HeaderName, &'static str)]) -> Option<u64> {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        stated(&headers).map(|lifetime| lifetime.as_secs())
    }

    const NOON: &str = "Sun, 06 Nov 1994 12:00:00 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 12:01:30 GMT";

    #[test]
    fn max_age_counts_and_beats_expires() {
        assert_eq!(lifetime(&[(CACHE_CONTROL, "public, Max-Age=60, must-revalidate")]), Some(60));
        assert_eq!(lifetime(&[(CACHE_CONTROL, "max-age=\"60\"")]), Some(60));
        assert_eq!(lifetime(&[(CACHE_CONTROL, "max-age=60, max-age=30")]), Some(30));
        assert_eq!(lifetime(&[(CACHE_CONTROL, "max-age=60"), (AGE, "50")]), Some(10));
        assert_eq!(lifetime(&[(CACHE_CONTROL, "max-age=60"), (AGE, "70")]), Some(0));
        assert_eq!(lifetime(&[(CACHE_CONTROL, "max-age=5"), (EXPIRES, LATER), (DATE, NOON)]), Some(5));
    }

    #[test]
    fn expires_counts_from_the_servers_own_date() {
        assert_eq!(lifetime(&[(EXPIRES, LATER), (DATE, NOON)]), Some(90));
        assert_eq!(lifetime(&[(EXPIRES, NOON), (DATE, LATER)]), Some(0));
        assert_eq!(lifetime(&[(EXPIRES, LATER)]), None);
    }

    #[test]
    fn what_states_no_lifetime_is_no_lifetime() {
        for value in ["no-store", "no-cache", "s-maxage=60", "max-age", "max-age=", "max-age=-1", "max-age=soon", ""] {
            assert_eq!(lifetime(&[(CACHE_CONTROL, value)]), None, "{value}");
        }
        assert_eq!(lifetime(&[(EXPIRES, "0"), (DATE, NOON)]), None);
        assert_eq!(lifetime(&[]), None);
    }
}
