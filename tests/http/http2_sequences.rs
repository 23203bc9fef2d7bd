//! Whatever frames clients send, the bytes of the upstream are the requests that were sent, each with one end, and each caller gets the
//! answer to its own. Sequences of frames are made up from a seed; every request carries a mark, and so does its answer.
//!
//! `CALLGATE_SEQUENCES` says how many are played (`make fuzz` plays 100,000), `CALLGATE_SEED` where they begin.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::frames::{
    self, CANCEL, Client, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, RST_STREAM, WINDOW_UPDATE, block,
};
use crate::strict_upstream::{ReadRequest, StrictUpstream};
use testkit::issuer::Issuer;
use testkit::setup::{AUDIENCE, Setup};
use testkit::stage::start_ready;

/// How many are played if nothing else is said.
const SEQUENCES: u64 = 300;

/// How many are played on one connection: `h2` takes a hundred empty frames on each.
const PER_CONNECTION: u64 = 16;

const CLIENTS: u64 = 4;

/// A generator that is the same everywhere (xorshift, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }
}

/// One frame of a request: its kind, its flags and its payload.
type Planned = (u8, u8, Vec<u8>);

/// A request as it is sent, and what must come of it.
#[derive(Debug)]
struct Plan {
    mark: String,
    method: &'static str,
    target: &'static str,
    body: Vec<u8>,
    is_reset: bool,
    frames: Vec<Planned>,
}

impl Plan {
    fn make(dice: &mut Dice, mark: String, bearer: &str) -> Self {
        let method = dice.of(&["GET", "POST", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"]);
        let mut target = dice.of(&["/length", "/chunked", "/empty", "/hints", "/close", "/public"]);
        if target == "/public" && !matches!(method, "GET" | "POST") {
            target = "/length";
        }
        let pieces: Vec<Vec<u8>> = (0..dice.below(4))
            .map(|_| {
                let size = dice.of(&[0, 0, 1, 5, 40, 3000]);
                mark.bytes().cycle().take(size).collect()
            })
            .collect();
        let body = pieces.concat();
        let trailers = dice.one_in(5);
        let mut fields = vec![("x-mark", mark.as_str())];
        if target != "/public" {
            fields.push(("authorization", bearer));
        }
        let length = body.len().to_string();
        if dice.one_in(2) && !(pieces.is_empty() && !trailers && method == "HEAD") {
            fields.push(("content-length", &length));
        }
        let cookies = ["a=1", "b=2", "c=3"];
        fields.extend(cookies.iter().take(usize::try_from(dice.below(4)).unwrap()).map(|cookie| ("cookie", *cookie)));
        let mut head = frames::request(method, target, &fields);
        let mut frames = Vec::new();
        if dice.one_in(6) {
            // CONTINUATION, even of nothing.
            let rest = head.split_off(usize::try_from(dice.below(head.len() as u64)).unwrap());
            frames.push((HEADERS, 0, head));
            frames.push((frames::CONTINUATION, END_HEADERS, rest));
        } else {
            frames.push((HEADERS, END_HEADERS, head));
        }
        for piece in pieces {
            let padding = if dice.one_in(4) { dice.below(40) } else { 0 };
            if padding > 0 {
                let padding = usize::try_from(padding).unwrap();
                let padded = [&[u8::try_from(padding).unwrap()], piece.as_slice(), &vec![0; padding]].concat();
                frames.push((DATA, PADDED, padded));
            } else {
                frames.push((DATA, 0, piece));
            }
        }
        if trailers {
            frames.push((HEADERS, END_HEADERS, block(&[("x-sum", "1")])));
        }
        let is_reset = dice.one_in(12);
        if is_reset {
            let after = 1 + usize::try_from(dice.below(frames.len() as u64)).unwrap();
            let is_cut = frames.get(after).is_some_and(|(kind, ..)| *kind == frames::CONTINUATION);
            frames.truncate(after + usize::from(is_cut));
            frames.push((RST_STREAM, 0, CANCEL.to_be_bytes().to_vec()));
        } else {
            // END_STREAM stands on HEADERS, not on the CONTINUATION behind it.
            let last = frames.iter_mut().rev().find(|(kind, ..)| *kind != frames::CONTINUATION).unwrap();
            last.1 |= END_STREAM;
        }
        Self { mark, method, target, body, is_reset, frames }
    }

    /// What the upstream answers it with, if that has a body.
    fn answer(&self) -> Vec<u8> {
        if self.method == "HEAD" || self.target == "/empty" {
            return Vec::new();
        }
        [self.mark.as_bytes(), b"\n", &self.body].concat()
    }
}

/// Plays some requests at once, their frames in any order that keeps each stream's own, and checks what is answered.
fn play(client: &mut Client, first_stream: u32, plans: &[Plan], dice: &mut Dice) {
    let mut queues: Vec<_> =
        plans.iter().zip(0..).map(|(plan, n)| (first_stream + 2 * n, plan.frames.iter().peekable(), false)).collect();
    let mut bytes = Vec::new();
    // Streams are opened in the order of their numbers.
    let mut opened = 0;
    while queues.iter_mut().any(|(_, queue, _)| queue.peek().is_some()) {
        let bound = queues.len().min(opened + 1) as u64;
        let chosen = usize::try_from(dice.below(bound)).unwrap();
        opened = opened.max(chosen + 1);
        let (stream, queue, _) = &mut queues[chosen];
        let Some((kind, flags, payload)) = queue.next() else { continue };
        bytes.extend(frames::frame(*kind, *flags, *stream, payload));
        while let Some((kind, flags, payload)) = queue.next_if(|(kind, ..)| *kind == frames::CONTINUATION) {
            bytes.extend(frames::frame(*kind, *flags, *stream, payload));
        }
        if dice.one_in(3) {
            client.send_bytes(&std::mem::take(&mut bytes)).unwrap();
        }
    }
    client.send_bytes(&bytes).unwrap();
    let mut waiting: HashMap<_, _> = plans
        .iter()
        .zip(0..)
        .filter(|(plan, _)| !plan.is_reset)
        .map(|(plan, n)| (first_stream + 2 * n, (plan, None)))
        .collect();
    let mut read = 0;
    while !waiting.is_empty() {
        let frame = client.read().unwrap_or_else(|| panic!("the connection ended before {waiting:?}"));
        assert_ne!(frame.kind, GOAWAY, "{:?} before {waiting:?}", String::from_utf8_lossy(&frame.payload));
        let Some((plan, answer)) = waiting.get_mut(&frame.stream) else { continue };
        match frame.kind {
            HEADERS if answer.is_none() => {
                let status = if plan.target == "/empty" { "204" } else { "200" };
                assert_eq!(frames::status(&frame.payload), status, "{plan:?}");
                *answer = Some(Vec::new());
            }
            DATA => {
                read += u32::try_from(frame.payload.len()).unwrap();
                answer.as_mut().expect("the head comes first").extend_from_slice(&frame.payload);
            }
            RST_STREAM => panic!("{plan:?} is reset with {}", frame.code()),
            _ => {}
        }
        if frame.ends_stream() {
            assert_eq!(answer.as_deref(), Some(plan.answer().as_slice()), "{plan:?}");
            waiting.remove(&frame.stream);
        }
    }
    if read > 0 {
        client.send(WINDOW_UPDATE, 0, 0, &read.to_be_bytes()).unwrap();
    }
}

/// Checks what the upstream has read against what was sent.
fn check(log: &[ReadRequest], plans: &[Plan]) {
    let mut read: HashMap<_, Vec<_>> = HashMap::new();
    for request in log {
        read.entry(request.all("x-mark").concat()).or_default().push(request);
    }
    for plan in plans {
        let requests = read.remove(&plan.mark).unwrap_or_default();
        assert!(requests.len() == 1 || plan.is_reset && requests.is_empty(), "{plan:?} was read as {requests:?}");
        for request in requests {
            assert_eq!((request.method.as_str(), request.target.as_str()), (plan.method, plan.target), "{plan:?}");
            assert_eq!(request.body, plan.body, "{plan:?}");
            assert!(request.all("cookie").len() <= 1, "{request:?}");
        }
    }
}

#[test]
fn whatever_frames_come_each_message_ends_once_and_each_caller_gets_its_own_answer() {
    let said = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("it is a number"));
    let (count, seed) = (said("CALLGATE_SEQUENCES").unwrap_or(SEQUENCES), said("CALLGATE_SEED").unwrap_or(1));
    let upstream = StrictUpstream::start();
    let issuer = Issuer::start("https://auth.internal.example");
    let public = "[[public]]\npath = \"/public\"\nmethods = [\"GET\", \"POST\"]";
    let setup = Setup::before_address(&upstream.address.to_string());
    let sidecar = start_ready(&setup.trusting(&issuer).with(public));
    let bearer = format!("Bearer {}", issuer.mint(&issuer.claims("billing", AUDIENCE)));
    let next = AtomicU64::new(0);
    let played = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(PER_CONNECTION, Ordering::Relaxed);
                    if first >= count {
                        return;
                    }
                    let mut client = Client::connect(sidecar.listen(), &[]);
                    let mut stream = 1;
                    let mut plans = Vec::new();
                    for n in first..count.min(first + PER_CONNECTION) {
                        let mut dice = Dice((seed + n).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
                        let requests = 1 + dice.below(4);
                        let of_sequence: Vec<_> =
                            (0..requests).map(|m| Plan::make(&mut dice, format!("m{n}-{m}."), &bearer)).collect();
                        play(&mut client, stream, &of_sequence, &mut dice);
                        stream += 2 * u32::try_from(requests).unwrap();
                        plans.extend(of_sequence);
                        played.fetch_add(1, Ordering::Relaxed);
                    }
                    let log =
                        upstream.take(|request| plans.iter().any(|plan| request.all("x-mark").concat() == plan.mark));
                    assert_eq!(log.errors, <[String; 0]>::default(), "after the sequences from {first}");
                    check(&log.requests, &plans);
                }
            });
        }
    });
    assert_eq!(played.into_inner(), count);
    let rest = upstream.take(|_| true);
    assert_eq!(rest.errors, <[String; 0]>::default());
    // Those that were reset may have come after they were looked for; nothing else is left.
    assert!(rest.requests.len() as u64 <= count, "{}", rest.requests.len());
    println!("{count} sequences of frames were played from seed {seed}.");
}
