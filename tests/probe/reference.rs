//! A proxy and its service in one, small enough to be read: it takes only what it knows, and answers with the head that the service
//! would see. Each of its faults makes it take one thing more.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use testkit::keys::Key;
use testkit::signing::hmac;

/// What is wrong with a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Nothing,
    AcceptsNoToken,
    AcceptsAnyToken,
    ChecksNoSignature,
    ChecksOnlyTheStartOfTheSignature,
    AcceptsNone,
    AcceptsNoneInAnyCase,
    AcceptsHmacWithThePublicKey,
    AcceptsHmacWithAWeakSecret,
    AcceptsHmacWithTheFileThatKidNames,
    TrustsAnEmbeddedKey,
    AcceptsZeroSignatures,
    AcceptsDer,
    AcceptsPadding,
    AcceptsUnusedBits,
    AcceptsPlainBase64,
    AcceptsMoreParts,
    CutsAtControlCharacters,
    IgnoresTheScheme,
    ReadsTheQuery,
    ReadsCookies,
    ReadsForms,
    ReadsOtherHeaders,
    TakesTheFirstOfTwo,
    TakesTheLastOfTwo,
    TakesAnyOfAList,
    StripsOneSpelling,
    StripsNothing,
    LetsConnectionRemoveTheCaller,
    TrustsForwardedFor,
    TrustsAnotherUrl,
    TrustsTheHost,
    ComparesPathsByTheirStart,
    CutsPathsAtSemicolons,
    LeavesTheRestOfAnAmbiguousBody,
    TakesTheFirstOfTwoLengths,
    UnfoldsFields,
    AllowsSpaceBeforeColons,
    AllowsBareLineFeeds,
    AllowsTwoHosts,
    AllowsControlCharacters,
    AllowsAnyVersion,
}

/// A running proxy, until the process ends.
pub(super) struct Reference {
    address: SocketAddr,
    key: Key,
}

struct Judge {
    fault: Fault,
    point: Vec<u8>,
    jwks: String,
}

struct Head {
    target: String,
    fields: Vec<(String, String)>,
}

type Refused = u16;

impl Reference {
    pub(super) fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let key = Key::generate("ES256", "key-1");
        let jwk = key.jwk();
        let number = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        let point = [vec![4], number("x"), number("y")].concat();
        let judge = Arc::new(Judge { fault, point, jwks: json!({"keys": [jwk]}).to_string() });
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let judge = Arc::clone(&judge);
                // The other side may go away at any time.
                thread::spawn(move || judge.serve(stream));
            }
        });
        Self { address, key }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/send", self.address)
    }

    pub(super) fn jwks(&self) -> String {
        json!({"keys": [self.key.jwk()]}).to_string()
    }

    /// A good token. One signature in fifteen has the same letters in plain base64 and in base64url; it cannot tell the two apart.
    pub(super) fn token(&self) -> String {
        let claims =
            json!({"iss": "https://issuer.test", "aud": "email-service", "sub": "billing", "exp": 4_000_000_000_u64});
        let is_base64url_only = |token: &String| token.rsplit('.').next().unwrap().contains(['-', '_']);
        std::iter::repeat_with(|| self.key.mint(&claims)).find(is_base64url_only).unwrap()
    }
}

impl Judge {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        // Who says no more has said all.
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        let mut bytes = Vec::new();
        let mut is_hidden = false;
        loop {
            let Some((head, rest)) = self.read_head(&mut stream, &mut bytes)? else { return Ok(()) };
            let read =
                self.parse(&head).and_then(|head| self.read_body(&head, rest, &mut stream).map(|body| (head, body)));
            let (head, body, after, smuggles) = match read {
                Ok((head, (body, after, smuggles))) => (head, body, after, smuggles),
                Err(status) => return answer(&mut stream, status, ""),
            };
            let judged = if is_hidden { Ok(Some("billing".to_owned())) } else { self.judge(&head, &body) };
            match judged {
                Ok(caller) => answer(&mut stream, 202, &self.forwarded(&head, caller))?,
                Err(status) => return answer(&mut stream, status, ""),
            }
            let closes = head
                .fields
                .iter()
                .any(|(name, value)| name.eq_ignore_ascii_case("connection") && value.contains("close"));
            if closes {
                return Ok(());
            }
            is_hidden = smuggles;
            bytes = after;
        }
    }

    /// The bytes of a head without its end, and what came behind it.
    fn read_head(&self, stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let mut piece = [0; 64 * 1024];
        loop {
            let mut ends: Vec<&[u8]> = vec![b"\r\n\r\n"];
            if self.has(Fault::AllowsBareLineFeeds) {
                ends.push(b"\n\n");
            }
            let found = ends.iter().filter_map(|end| Some((find(bytes, end)?, end.len()))).min();
            if let Some((at, length)) = found {
                return Ok(Some((bytes[..at].to_vec(), bytes[at + length..].to_vec())));
            }
            match stream.read(&mut piece)? {
                0 => return Ok(None),
                count => bytes.extend_from_slice(&piece[..count]),
            }
        }
    }

    fn parse(&self, head: &[u8]) -> Result<Head, Refused> {
        // One character for each byte.
        let mut text: String = head.iter().map(|byte| char::from(*byte)).collect();
        if self.has(Fault::AllowsBareLineFeeds) {
            text = text.replace("\r\n", "\n").replace('\n', "\r\n");
        }
        if self.has(Fault::UnfoldsFields) {
            text = text.replace("\r\n ", " ").replace("\r\n\t", " ");
        }
        let mut lines = text.split("\r\n");
        let line: Vec<_> = lines.next().unwrap_or_default().split(' ').collect();
        let ["POST", target, version] = line[..] else { return Err(400) };
        if !matches!(version, "HTTP/1.1" | "HTTP/1.0") && !self.has(Fault::AllowsAnyVersion) {
            return Err(505);
        }
        let is_plain =
            target.bytes().all(|byte| byte.is_ascii_graphic()) && target.starts_with('/') && !target.contains('#');
        if !is_plain {
            return Err(400);
        }
        let mut fields = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(400_u16)?;
            let name = if self.has(Fault::AllowsSpaceBeforeColons) { name.trim_end() } else { name };
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if name.is_empty() || !name.bytes().all(is_token) {
                return Err(400);
            }
            let is_bad = |character: char| character != '\t' && character.is_ascii_control();
            if value.contains(is_bad)
                && !self.has(Fault::AllowsControlCharacters)
                && !self.has(Fault::CutsAtControlCharacters)
            {
                return Err(400);
            }
            fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
        }
        let head = Head { target: target.to_owned(), fields };
        let is_name = |host: &str| {
            !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
        };
        match head.all("host")[..] {
            [host] if is_name(host) => Ok(head),
            [host, _] if is_name(host) && self.has(Fault::AllowsTwoHosts) => Ok(head),
            _ => Err(400),
        }
    }

    /// The body, what follows it, and whether that was hidden in it.
    fn read_body(
        &self,
        head: &Head,
        mut rest: Vec<u8>,
        stream: &mut TcpStream,
    ) -> Result<(Vec<u8>, Vec<u8>, bool), Refused> {
        let (lengths, codings) = (head.all("content-length"), head.all("transfer-encoding"));
        let length = match (&lengths[..], &codings[..]) {
            ([], []) => 0,
            ([length], []) if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) => {
                length.parse().map_err(|_| 400_u16)?
            }
            ([length, _], []) if self.has(Fault::TakesTheFirstOfTwoLengths) => length.parse().map_err(|_| 400_u16)?,
            ([], ["chunked"]) => return last_chunk(&rest).map(|rest| (Vec::new(), rest, false)),
            (_, ["chunked"]) if self.has(Fault::LeavesTheRestOfAnAmbiguousBody) => {
                return last_chunk(&rest).map(|rest| (Vec::new(), rest, true));
            }
            _ => return Err(400),
        };
        let mut piece = [0; 4096];
        while rest.len() < length {
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => return Err(400),
                Ok(count) => rest.extend_from_slice(&piece[..count]),
            }
        }
        let after = rest.split_off(length);
        Ok((rest, after, false))
    }

    /// Who is calling; nobody on a public path.
    fn judge(&self, head: &Head, body: &[u8]) -> Result<Option<String>, Refused> {
        if self.is_public(head) {
            return Ok(None);
        }
        let mut found: Vec<String> = head.all("authorization").into_iter().map(str::to_owned).collect();
        found.extend(self.elsewhere(head, body).into_iter().map(|token| format!("Bearer {token}")));
        let field = match &found[..] {
            [] if self.has(Fault::AcceptsNoToken) => return Ok(None),
            [field] => field,
            [first, _] if self.has(Fault::TakesTheFirstOfTwo) => first,
            [_, last] if self.has(Fault::TakesTheLastOfTwo) => last,
            _ => return Err(401),
        };
        if self.has(Fault::AcceptsAnyToken) && field.len() > 8 {
            return Ok(None);
        }
        if self.has(Fault::TakesAnyOfAList) && field.contains(',') {
            let tokens = field.split(',').filter_map(|field| self.credential(field.trim()));
            return tokens.map(|token| self.verify(&token)).find(Option::is_some).flatten().map(Some).ok_or(401);
        }
        self.credential(field).and_then(|token| self.verify(&token)).map(Some).ok_or(401)
    }

    fn is_public(&self, head: &Head) -> bool {
        let path = head.target.split('?').next().unwrap_or_default();
        match self.fault {
            Fault::ComparesPathsByTheirStart => path.starts_with("/healthz"),
            Fault::CutsPathsAtSemicolons => path.split(';').next() == Some("/healthz"),
            Fault::TrustsForwardedFor => head.all("x-forwarded-for") == ["127.0.0.1"],
            Fault::TrustsAnotherUrl => head.all("x-original-url") == ["/healthz"],
            Fault::TrustsTheHost => head.all("host") == ["localhost"],
            _ => path == "/healthz",
        }
    }

    /// A token where none belongs.
    fn elsewhere(&self, head: &Head, body: &[u8]) -> Vec<String> {
        let pairs = |text: &str, by: char| -> Vec<String> {
            text.split(by).filter_map(|pair| pair.trim().strip_prefix("access_token=")).map(str::to_owned).collect()
        };
        match self.fault {
            Fault::ReadsTheQuery => head.target.split_once('?').map(|(_, query)| pairs(query, '&')).unwrap_or_default(),
            Fault::ReadsCookies => head.all("cookie").into_iter().flat_map(|cookie| pairs(cookie, ';')).collect(),
            Fault::ReadsForms => pairs(&String::from_utf8_lossy(body), '&'),
            Fault::ReadsOtherHeaders => head.all("x-access-token").into_iter().map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    fn credential(&self, field: &str) -> Option<String> {
        let token = match self.fault {
            Fault::IgnoresTheScheme => field.rsplit(' ').next()?,
            _ => field.strip_prefix("Bearer ")?,
        };
        let cut = token.split(|character: char| character.is_ascii_control()).next()?;
        Some(if self.has(Fault::CutsAtControlCharacters) { cut } else { token }.to_owned())
    }

    /// The caller of a token that is good.
    fn verify(&self, token: &str) -> Option<String> {
        let parts: Vec<_> = token.split('.').collect();
        let [header, claims, signature] = match &parts[..] {
            [a, b, c] => [*a, *b, *c],
            [a, b, c, ..] if self.has(Fault::AcceptsMoreParts) => [*a, *b, *c],
            _ => return None,
        };
        let object =
            |part: &str| -> Option<Value> { serde_json::from_slice(&self.decode(part)?).ok().filter(Value::is_object) };
        let (head, body) = (object(header)?, object(claims)?);
        let is_fresh = body["exp"].as_u64().is_some_and(|expires| expires > 3_000_000_000);
        let is_for_us = body["iss"] == "https://issuer.test" && body["aud"] == "email-service";
        let message = format!("{header}.{claims}");
        let is_good = is_fresh && is_for_us && self.is_signed(&head, message.as_bytes(), signature);
        is_good.then(|| body["sub"].as_str().unwrap_or_default().to_owned())
    }

    fn is_signed(&self, head: &Value, message: &[u8], signature: &str) -> bool {
        let alg = head["alg"].as_str().unwrap_or_default();
        let Some(bytes) = self.decode(signature) else { return false };
        let with_hmac = |secret: &[u8]| alg.starts_with("HS") && bytes == hmac(alg, secret, message);
        let by = |point: &[u8]| UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, &bytes).is_ok();
        match self.fault {
            Fault::ChecksNoSignature => return true,
            Fault::ChecksOnlyTheStartOfTheSignature if bytes.len() > 64 && alg == "ES256" => {
                return UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.point)
                    .verify(message, &bytes[..64])
                    .is_ok();
            }
            Fault::AcceptsNone if alg == "none" => return true,
            Fault::AcceptsNoneInAnyCase if alg.eq_ignore_ascii_case("none") && alg != "none" => return true,
            Fault::AcceptsHmacWithThePublicKey if with_hmac(self.jwks.as_bytes()) => return true,
            Fault::AcceptsHmacWithAWeakSecret if with_hmac(b"secret") => return true,
            Fault::AcceptsHmacWithTheFileThatKidNames => {
                let path = head["kid"].as_str().unwrap_or_default();
                if path.ends_with("/dev/null") && with_hmac(b"") {
                    return true;
                }
            }
            Fault::TrustsAnEmbeddedKey => {
                let number = |name: &str| self.decode(head["jwk"][name].as_str()?);
                if let (Some(x), Some(y)) = (number("x"), number("y")) {
                    return by(&[vec![4], x, y].concat());
                }
            }
            // What Java's libraries did: nothing times anything is nothing.
            Fault::AcceptsZeroSignatures if !bytes.is_empty() && bytes.iter().all(|byte| *byte == 0) => return true,
            Fault::AcceptsDer => {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point);
                if alg == "ES256" && key.verify(message, &bytes).is_ok() {
                    return true;
                }
            }
            _ => {}
        }
        alg == "ES256" && by(&self.point)
    }

    fn decode(&self, part: &str) -> Option<Vec<u8>> {
        let lax = GeneralPurposeConfig::new();
        let strict = URL_SAFE_NO_PAD.decode(part).ok();
        let other = match self.fault {
            Fault::AcceptsPadding => URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok(),
            Fault::AcceptsUnusedBits => {
                let lax =
                    lax.with_decode_allow_trailing_bits(true).with_decode_padding_mode(DecodePaddingMode::RequireNone);
                GeneralPurpose::new(&URL_SAFE, lax).decode(part).ok()
            }
            Fault::AcceptsPlainBase64 => STANDARD_NO_PAD.decode(part).ok(),
            _ => None,
        };
        strict.or(other)
    }

    /// The head that the service sees.
    fn forwarded(&self, head: &Head, caller: Option<String>) -> String {
        let folded = |name: &str| name.to_ascii_lowercase().replace(|sign: char| !sign.is_ascii_alphanumeric(), "");
        let is_stripped = |name: &str| match self.fault {
            Fault::StripsNothing => false,
            Fault::StripsOneSpelling => name.eq_ignore_ascii_case("x-caller-service"),
            _ => folded(name) == "xcallerservice",
        };
        let kept = head.fields.iter().filter(|(name, _)| !is_stripped(name));
        let kept =
            kept.filter(|(name, _)| !matches!(name.to_ascii_lowercase().as_str(), "authorization" | "connection"));
        let mut text: String = kept.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let names_it_away =
            head.all("connection").iter().any(|value| value.to_ascii_lowercase().contains("x-caller-service"));
        if let Some(caller) = caller.filter(|_| !(names_it_away && self.has(Fault::LetsConnectionRemoveTheCaller))) {
            text += &format!("X-Caller-Service: {caller}\r\n");
        }
        text
    }
}

impl Head {
    fn all(&self, name: &str) -> Vec<&str> {
        let of_name = self.fields.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.as_str()).collect()
    }
}

/// What follows the one chunk that ends a body; other bodies are refused.
fn last_chunk(rest: &[u8]) -> Result<Vec<u8>, Refused> {
    rest.strip_prefix(b"0\r\n\r\n").map(<[u8]>::to_vec).ok_or(400)
}

fn answer(stream: &mut TcpStream, status: u16, body: &str) -> io::Result<()> {
    write!(stream, "HTTP/1.1 {status} -\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
