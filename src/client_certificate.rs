//! The certificate that a client showed to a proxy before us, in the words of that proxy: a field that only declared hops may say.
//! From anybody else it is worth nothing, and is removed.

use core::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;

use crate::confirmation::CertificateHash;
use crate::http1::fields::letters;
use crate::request::SingletonField;

/// How a proxy tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateField {
    /// `Client-Cert`, which holds the certificate (RFC 9440).
    Rfc9440,
    /// Envoy's `X-Forwarded-Client-Cert`, of which the `Hash` counts.
    Xfcc,
}

/// The proxies whose word about certificates counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateHops {
    field: CertificateField,
    networks: Vec<IpNet>,
    /// Whether they connect to a Unix socket, where peers have no address.
    on_socket: bool,
}

impl CertificateHops {
    /// The hops in these networks, and with `on_socket` whoever connects to our Unix socket.
    #[must_use]
    pub const fn new(field: CertificateField, networks: Vec<IpNet>, on_socket: bool) -> Self {
        Self { field, networks, on_socket }
    }

    /// Whether a peer at this address is one of them; `None` is the peer of a Unix socket.
    #[must_use]
    pub fn include(&self, peer: Option<IpAddr>) -> bool {
        peer.map_or(self.on_socket, |peer| self.networks.iter().any(|network| network.contains(&peer)))
    }

    /// The name of the field that they write, in lower case.
    #[must_use]
    pub const fn field_name(&self) -> &'static str {
        match self.field {
            CertificateField::Rfc9440 => "client-cert",
            CertificateField::Xfcc => "x-forwarded-client-cert",
        }
    }

    /// The certificate that the field of a hop tells. `None` if it tells none, or not of just one client.
    #[must_use]
    pub fn certificate(&self, field: SingletonField<'_>) -> Option<CertificateHash> {
        let SingletonField::One(value) = field else { return None };
        let value = value.trim_ascii();
        let hash = match self.field {
            CertificateField::Rfc9440 => {
                let encoded = value.strip_prefix(b":")?.strip_suffix(b":")?;
                let certificate = STANDARD.decode(encoded).ok().filter(|certificate| !certificate.is_empty())?;
                digest(&SHA256, &certificate).as_ref().try_into().ok()?
            }
            CertificateField::Xfcc => hex(single_hash(value)?)?,
        };
        Some(CertificateHash(hash))
    }

    /// Whether a field of this name, in lower case, is removed from a request. From a hop that is what a backend could take for its
    /// word and is not.
    #[must_use]
    pub fn remove(&self, name: &str, from_hop: bool) -> bool {
        if !FOLDED.iter().any(|known| letters(name).eq(known.bytes())) {
            return false;
        }
        let is_theirs = match self.field {
            CertificateField::Rfc9440 => matches!(name, "client-cert" | "client-cert-chain"),
            CertificateField::Xfcc => name == self.field_name(),
        };
        !(from_hop && is_theirs)
    }
}

/// The only `Hash` of a value that describes one client: elements are separated by commas, their pairs by semicolons, and a quoted
/// value may hold either. Two elements are of two clients, and anybody can have written the first.
fn single_hash(value: &[u8]) -> Option<&[u8]> {
    let mut hashes = Vec::new();
    for pair in pairs(value)? {
        let separator = pair.iter().position(|byte| *byte == b'=')?;
        let (name, hash) = pair.split_at_checked(separator)?;
        if name.trim_ascii().eq_ignore_ascii_case(b"hash") {
            hashes.push(hash.get(1..)?.trim_ascii());
        }
    }
    match hashes.as_slice() {
        [hash] => Some(hash),
        _ => None,
    }
}

/// The pairs of the only element; `None` if there are several, or a quote does not end.
fn pairs(value: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut pairs, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in value.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return None,
            b';' if !quoted => {
                pairs.push(value.get(start..at)?);
                start = at + 1;
            }
            _ => {}
        }
    }
    pairs.push(value.get(start..)?);
    (!quoted).then_some(pairs)
}

/// A SHA-256 in hexadecimal digits.
fn hex(digits: &[u8]) -> Option<[u8; 32]> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect();
    bytes?.try_into().ok()
}

/// What a backend could take for a hop's word about certificates, in whatever spelling.
const FOLDED: [&str; 3] = ["clientcert", "clientcertchain", "xforwardedclientcert"];

#[cfg(test)]
mod tests {
    use super::*;

    fn hops(field: CertificateField) -> CertificateHops {
        let networks = ["10.0.0.0/8", "2001:db8::7/128"].map(|network| network.parse().expect("a network"));
        CertificateHops::new(field, networks.to_vec(), false)
    }

    fn told(field: CertificateField, value: &str) -> Option<[u8; 32]> {
        hops(field).certificate(SingletonField::One(value.as_bytes())).map(|hash| hash.0)
    }

    /// The SHA-256 of `abc` (FIPS 180-2, B.1), in hexadecimal digits.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_certificate_is_read_as_rfc_9440_writes_it() {
        let wanted = hex(ABC.as_bytes());
        assert!(wanted.is_some());
        for value in [":YWJj:", " :YWJj: "] {
            assert_eq!(told(CertificateField::Rfc9440, value), wanted, "{value}");
        }
        for value in
            ["", "YWJj", ":YWJj", "YWJj:", "::", ":", ":YWJ:", ":YWJj:;a=1", ":YWJj:, :YWJj:", ":YW Jj:", ":YW-_:"]
        {
            assert_eq!(told(CertificateField::Rfc9440, value), None, "{value}");
        }
    }

    #[test]
    fn the_hash_of_the_only_client_is_read_as_envoy_writes_it() {
        let wanted = hex(ABC.as_bytes());
        for value in [
            format!("Hash={ABC}"),
            format!("By=spiffe://a/b;Hash={ABC};Subject=\"CN=a,O=b;c\";URI=spiffe://a/c"),
            format!("hash={}", ABC.to_uppercase()),
            format!("Subject=\"a\\\"b,c\";Hash={ABC}"),
        ] {
            assert_eq!(told(CertificateField::Xfcc, &value), wanted, "{value}");
        }
        for value in [
            String::new(),
            "Hash=".to_owned(),
            "URI=spiffe://a/c".to_owned(),
            format!("Hash={}", &ABC[1..]),
            format!("Hash={ABC}a"),
            format!("Hash={}g", &ABC[1..]),
            format!("Hash={ABC},Hash={ABC}"),
            format!("Hash={ABC};Hash={ABC}"),
            format!("By=a,Hash={ABC}"),
            format!("Subject=\"a;Hash={ABC}"),
            format!("Subject=\"Hash={ABC}\""),
            format!("Hash=\"{ABC}\""),
            format!("XHash={ABC}"),
        ] {
            assert_eq!(told(CertificateField::Xfcc, &value), None, "{value}");
        }
    }

    #[test]
    fn a_field_that_comes_twice_or_not_at_all_tells_nothing() {
        let hops = hops(CertificateField::Rfc9440);
        assert_eq!(hops.certificate(SingletonField::Absent), None);
        assert_eq!(hops.certificate(SingletonField::Several), None);
    }

    #[test]
    fn a_hop_is_known_by_its_network() {
        let hops = hops(CertificateField::Rfc9440);
        let include = |peer: &str| hops.include(Some(peer.parse().expect("an address")));
        assert!(include("10.1.2.3") && include("2001:db8::7"));
        assert!(!include("11.1.2.3") && !include("2001:db8::8") && !include("127.0.0.1"));
        assert!(!hops.include(None));
        assert!(CertificateHops { on_socket: true, ..hops }.include(None));
    }

    #[test]
    fn only_the_own_field_of_a_hop_goes_on() {
        let names = ["client-cert", "client-cert-chain", "x-forwarded-client-cert"];
        let kept = |field, from_hop| names.map(|name| !hops(field).remove(name, from_hop));
        assert_eq!(kept(CertificateField::Rfc9440, true), [true, true, false]);
        assert_eq!(kept(CertificateField::Xfcc, true), [false, false, true]);
        assert_eq!(kept(CertificateField::Rfc9440, false), [false; 3]);
        assert_eq!(kept(CertificateField::Xfcc, false), [false; 3]);
        for name in ["client_cert", "client.cert", "clientcert", "x_forwarded-client-cert"] {
            assert!(hops(CertificateField::Rfc9440).remove(name, true), "{name}");
        }
        assert!(!hops(CertificateField::Rfc9440).remove("client-certificate", false));
    }
}
