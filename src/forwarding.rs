//! What the upstream is told about a request besides its caller's name, as one configuration says it.

use crate::http1::fields::elements;

/// How a request is changed on its way to the upstream.
#[derive(Clone, Copy, Debug)]
pub struct ForwardingPolicy {
    /// How many proxies before us are trusted to say where a request came from; with 0, only what we see ourselves is said.
    pub trusted_hops: usize,
    /// Whose `X-Request-Id` it is.
    pub request_id: RequestIds,
    /// Whether the upstream gets the token.
    pub token: TokenForwarding,
}

/// Whose request ids are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestIds {
    /// Those of the client, if they are fit for logs; else ours.
    Keep,
    /// Ours.
    Make,
}

/// Whether the token goes on to the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenForwarding {
    /// The upstream gets it too, and could show it elsewhere.
    Forward,
    /// The upstream gets the caller's name alone.
    Withhold,
}

impl ForwardingPolicy {
    /// Of what `X-Forwarded-For` says, in these lines, the part that the trusted proxies added.
    #[must_use]
    pub fn trusted_path<'l>(&self, lines: impl Iterator<Item = &'l [u8]>) -> Vec<&'l [u8]> {
        let mut path: Vec<_> = lines.flat_map(elements).collect();
        path.split_off(path.len().saturating_sub(self.trusted_hops))
    }

    /// The first address of that part, cleaned and at most [`ADDRESS_SHOWN`] characters long: who the outermost of the trusted proxies
    /// says has sent the request.
    #[must_use]
    pub fn first_address<'l>(&self, lines: impl Iterator<Item = &'l [u8]>) -> Option<String> {
        if self.trusted_hops == 0 {
            return None;
        }
        let first = *self.trusted_path(lines).first()?;
        let shown =
            |byte: &u8| if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\') { char::from(*byte) } else { '?' };
        Some(first.iter().take(ADDRESS_SHOWN).map(shown).collect())
    }

    /// The id that the client sent, if it is kept and fit for logs.
    #[must_use]
    pub fn kept_request_id(&self, sent: Option<&[u8]>) -> Option<String> {
        let id = sent.filter(|_| self.request_id == RequestIds::Keep)?;
        let is_sound = (1..=REQUEST_ID_MAX).contains(&id.len())
            && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~+/=:".contains(byte));
        is_sound.then(|| String::from_utf8_lossy(id).into_owned())
    }
}

/// How many characters of an address are recorded: more than any has.
pub const ADDRESS_SHOWN: usize = 64;

/// The longest request id that is kept, in characters.
const REQUEST_ID_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn first(trusted_hops: usize, lines: &[&str]) -> Option<String> {
        let policy = ForwardingPolicy { trusted_hops, request_id: RequestIds::Make, token: TokenForwarding::Forward };
        policy.first_address(lines.iter().map(|line| line.as_bytes()))
    }

    #[test]
    fn the_first_address_is_the_outermost_that_trusted_proxies_added() {
        let lines = ["203.0.113.9, 198.51.100.7", "10.0.0.5"];
        for (hops, wanted) in [
            (0, None),
            (1, Some("10.0.0.5")),
            (2, Some("198.51.100.7")),
            (3, Some("203.0.113.9")),
            (9, Some("203.0.113.9")),
        ] {
            assert_eq!(first(hops, &lines).as_deref(), wanted, "{hops}");
        }
        assert_eq!(first(1, &[]), None);
        assert_eq!(first(1, &[" , "]), None);
    }

    #[test]
    fn an_address_is_cleaned_and_bounded() {
        assert_eq!(first(1, &["\"[2001:db8::1]:4711\""]).as_deref(), Some("?[2001:db8::1]:4711?"));
        assert_eq!(first(1, &["a\u{e9}\t\\b"]).as_deref(), Some("a????b"));
        assert_eq!(first(1, &["x".repeat(1000).as_str()]).map(|shown| shown.len()), Some(ADDRESS_SHOWN));
    }
}
