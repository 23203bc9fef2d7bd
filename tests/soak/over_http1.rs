//! Callers over HTTP/1: good ones, slow ones, those that leave, and those that must be refused.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::http::{Answer, Connection, Head};
use testkit::issuer::Issuer;
use testkit::keys::Key;
use testkit::request::{Request, noise};
use testkit::setup::AUDIENCE;

use crate::Activity;
use crate::ledger::{Asked, Expected, Seen, Told};
use crate::service::{CALLERS, MARK, fingerprint};
use crate::world::{REVOKED, World};

/// One request of a caller. An error is something that must not have happened.
type Step = fn(&World, &mut Caller) -> io::Result<()>;

/// Every kind of caller, how many of it there are, and the pause of each between two requests in milliseconds.
const KINDS: [(&str, usize, u64, Step); 17] = [
    ("kept", 4, 40, kept),
    ("alone", 2, 100, alone),
    ("public", 1, 100, public),
    ("reported", 1, 100, reported),
    ("refused", 2, 40, refused),
    ("troubled", 2, 100, troubled),
    ("upload", 2, 250, upload),
    ("download", 1, 100, download),
    ("slow", 3, 50, slow),
    ("late", 1, 500, late),
    ("silent", 1, 1000, silent),
    ("events", 3, 100, events),
    ("websocket", 3, 100, websocket),
    ("websocket-expiry", 1, 100, websocket_expiry),
    ("leaves-body", 1, 300, leaves_in_the_body),
    ("leaves-answer", 1, 300, leaves_in_the_answer),
    ("leaves-waiting", 2, 100, leaves_waiting),
];

/// Every caller.
pub(crate) fn all() -> Vec<Activity> {
    let callers = KINDS.into_iter().flat_map(|kind| std::iter::repeat_n(kind, kind.1)).enumerate();
    let activity = |(number, (name, _, pause, step)): (usize, (&str, usize, u64, Step))| -> Activity {
        let go_on = move |world: &Arc<World>| {
            let mut caller = Caller { name: format!("caller-{number}"), ..Caller::default() };
            while world.goes_on() {
                if let Err(error) = step(world, &mut caller) {
                    caller.connection = None;
                    world.ledger.fault(&error.to_string());
                }
                world.let_pass(Duration::from_millis(pause));
            }
        };
        (name.to_owned(), Box::new(go_on))
    };
    callers.map(activity).collect()
}

/// A caller with what it keeps between its requests.
#[derive(Default)]
struct Caller {
    name: String,
    connection: Option<Connection>,
    token: Option<(String, Instant)>,
    steps: u64,
}

impl Caller {
    /// Its token: a new one now and then, and the same one meanwhile. None is older than keys live after their last token.
    fn token(&mut self, world: &World) -> String {
        self.steps += 1;
        let is_good =
            |(_, made): &&(String, Instant)| made.elapsed() < Duration::from_secs(10) && fastrand::u8(..) > 60;
        match self.token.as_ref().filter(is_good) {
            Some((token, _)) => token.clone(),
            None => {
                let token = world.token_but(&self.name, |_| ());
                self.token = Some((token.clone(), Instant::now()));
                token
            }
        }
    }

    /// Sends bytes on its connection and reads the answer.
    fn exchange(&mut self, world: &World, bytes: &[u8]) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(world.http().listen())?,
        };
        let answer = connection.exchange(bytes)?;
        if !answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.connection = Some(connection);
        }
        Ok(answer)
    }

    fn forwarded(&self) -> Expected {
        Expected::Forwarded { caller: self.name.clone(), status: 200 }
    }
}

/// A request with its mark.
fn request(method: &str, path: &str, mark: &str) -> Request {
    Request::new(method, path).header("X-Mark", mark)
}

fn seen(answer: &Answer) -> Seen {
    let reason = answer.json()["reason"].as_str().unwrap_or_default().to_owned();
    Seen { status: answer.status(), reason, told: Told::read(&answer.body) }
}

/// Sends a whole request on the caller's connection and judges the answer.
fn ask(world: &World, caller: &mut Caller, asked: &Asked, bytes: &[u8]) -> io::Result<()> {
    let began = Instant::now();
    let answer = caller.exchange(world, bytes).map_err(|error| wrong(asked, error))?;
    world.ledger.judge(asked, &seen(&answer), began.elapsed());
    Ok(())
}

fn wrong(asked: &Asked, what: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{} {}: {what}", asked.kind, asked.mark))
}

fn asked(world: &World, kind: &'static str, body: &[u8], expected: Expected) -> Asked {
    let begin = if matches!(expected, Expected::Refused { .. }) { "refused" } else { "good" };
    Asked { kind, mark: world.mark(begin), body: fingerprint(body), expected }
}

/// A request with a small body on a connection that is kept; now and then with a caller's name that is forged.
fn kept(world: &World, caller: &mut Caller) -> io::Result<()> {
    let token = caller.token(world);
    let body = noise(fastrand::usize(..2000));
    let asked = asked(world, "kept", &body, caller.forwarded());
    let mut request = request("POST", "/kept/echo", &asked.mark).bearer(&token);
    if fastrand::bool() {
        request = request.header("X-Caller-Service", "admin").header("x_caller_service", "root");
    }
    ask(world, caller, &asked, &request.body(&body).bytes())
}

/// The same on a connection of its own.
fn alone(world: &World, caller: &mut Caller) -> io::Result<()> {
    let token = caller.token(world);
    let asked = asked(world, "alone", b"", caller.forwarded());
    ask(world, caller, &asked, &request("GET", "/alone/echo", &asked.mark).bearer(&token).bytes())?;
    caller.connection = None;
    Ok(())
}

fn public(world: &World, caller: &mut Caller) -> io::Result<()> {
    let asked = asked(world, "public", b"", Expected::Passed);
    let request = request("GET", "/public/echo", &asked.mark).header("X-Caller-Service", "admin");
    ask(world, caller, &asked, &request.bytes())
}

fn reported(world: &World, caller: &mut Caller) -> io::Result<()> {
    let asked = asked(world, "reported", b"", Expected::Reported { reason: "token_missing" });
    let request = request("GET", "/reported", &asked.mark).header("X-Caller-Service", "admin");
    ask(world, caller, &asked, &request.bytes())
}

/// A good token of the issuer that is down from time to time.
fn troubled(world: &World, caller: &mut Caller) -> io::Result<()> {
    let token = match &caller.token {
        Some((token, _)) if fastrand::u8(..) > 60 => token.clone(),
        _ => world.troubled.mint(&world.troubled.claims(&caller.name, AUDIENCE)),
    };
    caller.token = Some((token.clone(), Instant::now()));
    let mut asked = asked(world, "troubled", b"", caller.forwarded());
    let (began, before) = (Instant::now(), world.trouble());
    let bytes = request("GET", "/troubled/echo", &asked.mark).bearer(&token).bytes();
    let answer = caller.exchange(world, &bytes).map_err(|error| wrong(&asked, error))?;
    asked.expected = world.expected_of_troubled(&caller.name, before, world.trouble());
    if matches!(asked.expected, Expected::Either(_)) {
        world.ledger.event("answers of a troubled issuer's tokens that may be either");
    }
    world.ledger.judge(&asked, &seen(&answer), began.elapsed());
    Ok(())
}

/// A large body, with its length or in chunks.
fn upload(world: &World, caller: &mut Caller) -> io::Result<()> {
    let token = caller.token(world);
    let body = noise(fastrand::usize(100_000..900_000));
    let asked = asked(world, "upload", &body, caller.forwarded());
    let request = request("PUT", "/upload/echo", &asked.mark).bearer(&token);
    let bytes = if fastrand::bool() {
        request.body(&body).bytes()
    } else {
        let mut bytes = request.header("Transfer-Encoding", "chunked").bytes();
        for piece in body.chunks(20_000) {
            bytes.extend(format!("{:x}\r\n", piece.len()).into_bytes());
            bytes.extend(piece);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
        bytes
    };
    ask(world, caller, &asked, &bytes)
}

/// A large answer that is read slowly.
fn download(world: &World, caller: &mut Caller) -> io::Result<()> {
    let token = caller.token(world);
    let asked = asked(world, "download", b"", caller.forwarded());
    let began = Instant::now();
    let mut connection = Connection::open(world.http().listen())?;
    connection.send(request("GET", "/download/large", &asked.mark).bearer(&token).bytes())?;
    let head = answered(&mut connection, &asked)?;
    let (mut framing, mut body) = (Connection::answer_body(&head, "GET"), Vec::new());
    while let Some(piece) = connection.read_piece(&mut framing)? {
        body.extend_from_slice(&piece);
        thread::sleep(Duration::from_millis(20));
    }
    world.ledger.judge(&asked, &seen(&Answer { head, body }), began.elapsed());
    Ok(())
}

/// A head and a body that come piece by piece.
fn slow(world: &World, caller: &mut Caller) -> io::Result<()> {
    let token = caller.token(world);
    let body = noise(600);
    let asked = asked(world, "slow", &body, caller.forwarded());
    let began = Instant::now();
    let bytes = request("POST", "/slow/echo", &asked.mark).bearer(&token).body(&body).bytes();
    let mut connection = Connection::open(world.http().listen())?;
    for piece in bytes.chunks(bytes.len() / 10 + 1) {
        connection.send(piece)?;
        thread::sleep(Duration::from_millis(100));
    }
    let answer = connection.read_answer("").map_err(|error| wrong(&asked, error))?;
    world.ledger.judge(&asked, &seen(&answer), began.elapsed());
    Ok(())
}

/// A head that does not end in time.
fn late(world: &World, _: &mut Caller) -> io::Result<()> {
    let asked = asked(world, "late", b"", Expected::Refused { status: 408, reason: "request_timeout" });
    let began = Instant::now();
    let mut connection = Connection::open(world.http().listen())?;
    connection.send(format!("GET /late/echo HTTP/1.1\r\nHost: email\r\nX-Mark: {}\r\n", asked.mark))?;
    let answer = connection.read_answer("").map_err(|error| wrong(&asked, error))?;
    world.ledger.judge(&asked, &seen(&answer), began.elapsed());
    Ok(())
}

/// No request: a connection that says nothing, or half a head, and is closed.
fn silent(world: &World, _: &mut Caller) -> io::Result<()> {
    let mut connection = Connection::open(world.http().listen())?;
    if fastrand::bool() {
        connection.send("GET /silent HTTP/1.1\r\nHost:")?;
    }
    thread::sleep(Duration::from_millis(fastrand::u64(..1000)));
    world.ledger.event("connections without a request");
    Ok(())
}

/// Server-sent events, up to their end.
fn events(world: &World, caller: &mut Caller) -> io::Result<()> {
    let token = caller.token(world);
    let asked = asked(world, "events", b"", caller.forwarded());
    let began = Instant::now();
    let (head, mut connection) = open(world, &asked, &request("GET", "/events/events", &asked.mark).bearer(&token))?;
    let took = began.elapsed();
    let text = connection.read_body(Connection::answer_body(&head, "GET")).map_err(|error| wrong(&asked, error))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut events = text.split_terminator("\n\n").filter_map(|event| event.strip_prefix("data: "));
    let told = events.next().and_then(|first| Told::read(first.as_bytes()));
    let is_whole = events.eq((1..10).map(|number| number.to_string()));
    if !is_whole {
        return Err(wrong(&asked, format!("not all events came: {text}")));
    }
    world.ledger.judge(&asked, &Seen { status: head.status(), reason: String::new(), told }, took);
    Ok(())
}

/// Sends a request on a connection of its own and reads the head of the answer.
fn open(world: &World, asked: &Asked, request: &Request) -> io::Result<(Head, Connection)> {
    let mut connection = Connection::open(world.http().listen())?;
    connection.send(request.bytes())?;
    Ok((answered(&mut connection, asked)?, connection))
}

fn answered(connection: &mut Connection, asked: &Asked) -> io::Result<Head> {
    let head = connection.read_head().map_err(|error| wrong(asked, error))?;
    head.ok_or_else(|| wrong(asked, "no answer"))
}

fn upgrade(kind: &str, mark: &str, token: &str) -> Request {
    request("GET", &format!("/{kind}/socket"), mark)
        .bearer(token)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

/// What the service says in the head of an upgrade.
fn told_by(head: &Head, body: (u64, u64)) -> Option<Told> {
    let callers: Vec<_> = head.all(CALLERS).iter().map(|&caller| caller.to_owned()).collect();
    Some(Told { callers, mark: head.header(MARK)?.to_owned(), body })
}

/// Sends bytes through a tunnel and reads them back.
fn echo(connection: &mut Connection, length: usize) -> io::Result<bool> {
    let bytes = noise(length);
    connection.send(&bytes)?;
    for byte in bytes {
        if connection.read_byte()? != Some(byte) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A WebSocket that its client closes.
fn websocket(world: &World, caller: &mut Caller) -> io::Result<()> {
    let token = caller.token(world);
    let asked = asked(world, "websocket", b"", Expected::Forwarded { caller: caller.name.clone(), status: 101 });
    let began = Instant::now();
    let (head, mut connection) = open(world, &asked, &upgrade("websocket", &asked.mark, &token))?;
    let seen = Seen { status: head.status(), reason: String::new(), told: told_by(&head, asked.body) };
    let took = began.elapsed();
    for _ in 0..10 {
        if !echo(&mut connection, fastrand::usize(1..200)).map_err(|error| wrong(&asked, error))? {
            return Err(wrong(&asked, "the tunnel does not bring back what was sent"));
        }
        thread::sleep(Duration::from_millis(100));
    }
    world.ledger.judge(&asked, &seen, took);
    Ok(())
}

/// A WebSocket that is closed when its token expires.
fn websocket_expiry(world: &World, caller: &mut Caller) -> io::Result<()> {
    let kind = "websocket-expiry";
    let token = world.token_but(&caller.name, |claims| {
        claims["exp"] = json!(claims["iat"].as_u64().expect("a time") + 3);
    });
    let asked = asked(world, kind, b"", Expected::Forwarded { caller: caller.name.clone(), status: 101 });
    let began = Instant::now();
    let (head, mut connection) = open(world, &asked, &upgrade(kind, &asked.mark, &token))?;
    let is_good =
        head.status() == 101 && told_by(&head, asked.body).is_some_and(|told| told.callers == [&*caller.name]);
    if !is_good {
        return Err(wrong(&asked, format!("{head:?}")));
    }
    world.ledger.time(kind, began.elapsed());
    while connection.send("x").is_ok() && matches!(connection.read_byte(), Ok(Some(b'x'))) {
        thread::sleep(Duration::from_millis(50));
    }
    let lived = began.elapsed();
    if !(Duration::from_millis(1900)..Duration::from_millis(5000)).contains(&lived) {
        return Err(wrong(&asked, format!("it was open for {lived:?}")));
    }
    world.ledger.expect_record(kind, "forward", "token_expired", 101);
    Ok(())
}

/// Leaves in the middle of its request's body.
fn leaves_in_the_body(world: &World, caller: &mut Caller) -> io::Result<()> {
    let (token, mark) = (caller.token(world), world.mark("waited"));
    let mut connection = Connection::open(world.http().listen())?;
    let request = request("POST", "/leaves-body/echo", &mark).bearer(&token).header("Content-Length", "100000");
    connection.send(request.bytes())?;
    connection.send(noise(10_000))?;
    leave(world, "leaves-body", &mark, 0)
}

/// Leaves in the middle of its answer.
fn leaves_in_the_answer(world: &World, caller: &mut Caller) -> io::Result<()> {
    let (token, mark) = (caller.token(world), world.mark("waited"));
    let mut connection = Connection::open(world.http().listen())?;
    connection.send(request("GET", "/leaves-answer/endless", &mark).bearer(&token).bytes())?;
    let head = connection.read_head()?.unwrap_or_default();
    let mut body = Connection::answer_body(&head, "GET");
    for _ in 0..3 {
        connection.read_piece(&mut body)?;
    }
    leave(world, "leaves-answer", &mark, 200)
}

/// Leaves while it waits for its answer.
fn leaves_waiting(world: &World, caller: &mut Caller) -> io::Result<()> {
    let (token, mark) = (caller.token(world), world.mark("waited"));
    let mut connection = Connection::open(world.http().listen())?;
    connection.send(request("GET", "/leaves-waiting/hang", &mark).bearer(&token).bytes())?;
    leave(world, "leaves-waiting", &mark, 0)?;
    // Within a second after its request was read it would be taken for a client that has only closed its side.
    thread::sleep(Duration::from_millis(1300));
    Ok(())
}

/// The service has got the request; its client leaves when this returns.
fn leave(world: &World, kind: &'static str, mark: &str, status: u16) -> io::Result<()> {
    world.ledger.expect_record(kind, "forward", "", status);
    if world.arrivals.wait(mark) { Ok(()) } else { Err(io::Error::other(format!("{kind} {mark}: it did not arrive"))) }
}

/// Something that must be refused, of many kinds.
fn refused(world: &World, caller: &mut Caller) -> io::Result<()> {
    caller.steps += 1;
    let refusal = Refusal::number(world, &caller.name, caller.steps);
    let expected = Expected::Refused { status: refusal.status, reason: refusal.reason };
    let asked = asked(world, "refused", b"", expected);
    let mut request = request(refusal.method, "/refused/echo", &asked.mark);
    for (name, value) in &refusal.fields {
        request = request.header(name, value);
    }
    ask(world, caller, &asked, &request.bytes())
}

/// A request that must be refused.
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
    pub(crate) method: &'static str,
    pub(crate) fields: Vec<(&'static str, String)>,
}

/// How many kinds of refusals there are that HTTP/1 and HTTP/2 have in common.
const COMMON: u64 = 15;
/// Those of HTTP/1 too.
const ALL: u64 = 18;

impl Refusal {
    /// Kind number `n`, of those that can be said in HTTP/1.
    fn number(world: &World, caller: &str, n: u64) -> Self {
        let with = |status, reason, fields| Self { status, reason, method: "POST", fields };
        let good = || format!("Bearer {}", world.token_but(caller, |_| ()));
        match n % ALL {
            15 => with(
                400,
                "request_malformed",
                vec![
                    ("Authorization", good()),
                    ("Content-Length", "0".into()),
                    ("Transfer-Encoding", "chunked".into()),
                ],
            ),
            16 => with(
                413,
                "body_too_large",
                vec![
                    ("Authorization", good()),
                    ("Content-Length", "2000000".into()),
                    ("Expect", "100-continue".into()),
                ],
            ),
            17 => with(431, "head_too_large", vec![("Authorization", good()), ("X-Padding", "x".repeat(40_000))]),
            _ => Self::common(world, caller, n % ALL),
        }
    }

    /// Kind number `n`, of those that can be said in HTTP/2 too.
    pub(crate) fn common(world: &World, caller: &str, n: u64) -> Self {
        let of = |reason, token: String| Self {
            status: 401,
            reason,
            method: "POST",
            fields: vec![("authorization", format!("Bearer {token}"))],
        };
        let but =
            |claim: &'static str, value: serde_json::Value| world.token_but(caller, |claims| claims[claim] = value);
        let without = |claim: &'static str| {
            world.token_but(caller, |claims| {
                claims.as_object_mut().expect("claims").remove(claim);
            })
        };
        let now = testkit::issuer::now();
        match n % COMMON {
            0 => Self { status: 401, reason: "token_missing", method: "POST", fields: Vec::new() },
            1 => of("token_expired", but("exp", json!(now - 100))),
            2 => of("token_not_yet_valid", but("nbf", json!(now + 1000))),
            3 => of("audience_mismatch", but("aud", json!("payroll"))),
            4 => of("issuer_untrusted", but("iss", json!("https://elsewhere.example"))),
            5 => of("claim_missing", without("exp")),
            6 => of("token_revoked", but("sub", json!(REVOKED))),
            7 => of("caller_unusable", but("sub", json!("two words"))),
            8 => of("token_malformed", "open-sesame".to_owned()),
            9 => of("token_too_large", "x".repeat(9000)),
            10 => of("signature_invalid", tampered(&but("jti", json!(fastrand::u64(..))))),
            11 => of("key_unknown", by_a_stranger(&world.steady, caller)),
            12 => match world.withdrawn.lock().expect("nobody fails with it").clone() {
                Some(key) => of("key_unknown", key.mint(&world.steady.claims(caller, AUDIENCE))),
                None => of("token_malformed", String::new() + "a.b.c"),
            },
            13 => {
                let twice = of("token_ambiguous", but("jti", json!("1")));
                Self { fields: [twice.fields.clone(), twice.fields].concat(), ..twice }
            }
            _ => Self { status: 405, method: "TRACE", reason: "method_refused", fields: Vec::new() },
        }
    }
}

/// A token whose claims are not those that were signed.
fn tampered(token: &str) -> String {
    let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    let signature = parts.pop().expect("a signature");
    let reversed: String = signature.chars().rev().collect();
    // The last character holds fewer bits than others, so the first one of the reversed must be one with those unset.
    parts.push(format!("{}A", &reversed[..reversed.len() - 1]));
    parts.join(".")
}

/// A token by a key that nobody has published.
fn by_a_stranger(issuer: &Issuer, caller: &str) -> String {
    let key = Key::generate("ES256", &format!("stranger-{}", fastrand::u16(..)));
    key.mint(&issuer.claims(caller, AUDIENCE))
}
