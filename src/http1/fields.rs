//! Field names and values (RFC 9110 §5): which bytes they may have, and which names are another's in disguise.

/// Whether a byte may stand in a token (RFC 9110 §5.6.2), such as a method or a field's name.
#[must_use]
pub const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// Whether it is a token: at least one byte, and only such bytes.
#[must_use]
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_token_byte)
}

/// Whether a byte may stand in a field's value (RFC 9110 §5.5): everything but control characters, tabs excepted.
#[must_use]
pub const fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// The field that frames or steers a request and that this name could be taken for, though it is not it. CGI-like
/// environments map `-` to `_` and upper the case, others drop `.` or `_`: `Transfer_Encoding` must not reach them, since it
/// would not have been judged as one.
#[must_use]
pub fn disguise(name: &[u8]) -> Option<&'static str> {
    let mut folded = [0; LONGEST];
    let mut places = folded.iter_mut();
    for byte in name.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        *places.next()? = byte.to_ascii_lowercase();
    }
    let unused = places.len();
    let folded = folded.get(..LONGEST - unused)?;
    let (_, plain) = STEERING.iter().find(|(letters, _)| letters.as_bytes() == folded)?;
    (!name.eq_ignore_ascii_case(plain.as_bytes())).then_some(plain)
}

/// The letters and digits of a name, in lower case. Two names that have the same could be one to a backend, for the reasons of
/// [`disguise`].
pub fn letters(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase())
}

/// A value without the white space around it (RFC 9110 §5.5).
#[must_use]
pub fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The elements of a comma-separated list (RFC 9110 §5.6.1), the empty ones left out.
pub fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trimmed).filter(|element| !element.is_empty())
}

/// The fields on which the framing of a message, its connection, its addressee or its credentials depend: their letters, and
/// their names.
const STEERING: [(&str, &str); 12] = [
    ("authorization", "authorization"),
    ("connection", "connection"),
    ("contentlength", "content-length"),
    ("expect", "expect"),
    ("host", "host"),
    ("http2settings", "http2-settings"),
    ("keepalive", "keep-alive"),
    ("proxyconnection", "proxy-connection"),
    ("te", "te"),
    ("trailer", "trailer"),
    ("transferencoding", "transfer-encoding"),
    ("upgrade", "upgrade"),
];

/// The letters of the longest of them; a name with more is none.
const LONGEST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fold_to_a_steering_field_are_disguises_of_it() {
        for name in ["Transfer_Encoding", "transfer.encoding", "TransferEncoding", "Transfer-Encoding-", "T-E", "_host"]
        {
            assert!(disguise(name.as_bytes()).is_some(), "{name}");
        }
        for name in ["Transfer-Encoding", "TRANSFER-ENCODING", "TE", "Host", "X-Host", "Content-Type", "X_Any", "-"] {
            assert_eq!(disguise(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn lists_and_values_lose_their_white_space_and_nothing_else() {
        assert_eq!(trimmed(b" \ta b\t "), b"a b");
        assert_eq!(trimmed(b" \x0b"), b"\x0b", "a vertical tab is no white space here");
        assert_eq!(elements(b"a, b,,\tc ,").collect::<Vec<_>>(), [&b"a"[..], b"b", b"c"]);
    }
}
