//! An embedded issuer: it owns signing keys, publishes the public halves over HTTP and mints tokens.
//!
//! It can be told to misbehave in every way in which a key source fails, and it counts how often it was asked.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::http::Connection;
use super::keys::Key;
use super::server::{Address, Server};

const JWKS_PATH: &str = "/.well-known/jwks.json";
const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";

/// How the issuer answers a fetch of its key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// A key set without keys.
    Empty,
    /// A body that never ends.
    Endless,
    /// `500` with a text.
    Failing,
    /// `200` with something that is not JSON.
    Garbage,
    /// The key set, at once.
    Healthy,
    /// A redirect to where it was asked.
    Redirecting,
    /// The key set, after this long.
    Slow(Duration),
    /// The first half of the key set.
    Truncated,
}

/// A running issuer.
pub struct Issuer {
    address: SocketAddr,
    server: Mutex<Option<Server>>,
    shared: Arc<Mutex<Shared>>,
    fetches: Arc<AtomicUsize>,
}

struct Shared {
    name: String,
    keys: Vec<Arc<Key>>,
    /// Published beside its own keys.
    odd: Vec<Value>,
    behaviour: Behaviour,
}

impl Issuer {
    /// Starts an issuer that calls itself `name` and owns one fresh ES256 key.
    pub fn start(name: &str) -> Self {
        Self::with_keys(name, vec![Key::generate("ES256", "key-1")])
    }

    /// Starts an issuer that calls itself by the URL it is served at, as OpenID Connect Discovery wants it.
    pub fn at_its_own_address() -> Self {
        let issuer = Self::start("");
        issuer.lock().name = issuer.url("");
        issuer
    }

    /// Starts an issuer that calls itself `name` and owns these keys.
    pub fn with_keys(name: &str, keys: Vec<Key>) -> Self {
        let shared = Shared {
            name: name.to_owned(),
            keys: keys.into_iter().map(Arc::new).collect(),
            odd: Vec::new(),
            behaviour: Behaviour::Healthy,
        };
        let issuer = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            server: Mutex::default(),
            shared: Arc::new(Mutex::new(shared)),
            fetches: Arc::default(),
        };
        let address = issuer.come_up();
        Self { address, ..issuer }
    }

    /// The value of `iss` in its tokens.
    pub fn name(&self) -> String {
        self.lock().name.clone()
    }

    /// The URL of its key set.
    pub fn jwks_url(&self) -> String {
        self.url(JWKS_PATH)
    }

    /// The key set, as it would be written to a file.
    pub fn jwks(&self) -> Value {
        self.lock().jwks()
    }

    /// How often its key set was asked for.
    pub fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    /// Changes how it answers from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.lock().behaviour = behaviour;
    }

    /// Gives itself another name, also in its discovery document.
    pub fn rename(&self, name: &str) {
        self.lock().name = name.to_owned();
    }

    /// Stops listening: a connection to it is refused from now on.
    pub fn go_down(&self) {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Listens again, at the address it had before.
    pub fn come_up(&self) -> SocketAddr {
        let mut slot = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let (shared, fetches) = (Arc::clone(&self.shared), Arc::clone(&self.fetches));
        let server = Server::tcp(self.address, Arc::new(move |connection| serve(connection, &shared, &fetches)));
        let server = server.expect("the issuer can listen");
        let Address::Tcp(address) = *server.address() else { unreachable!("a TCP server has a TCP address") };
        *slot = Some(server);
        address
    }

    /// Replaces all keys by one fresh ES256 key of this name.
    pub fn rotate(&self, kid: &str) {
        self.lock().keys = vec![Arc::new(Key::generate("ES256", kid))];
    }

    /// Signs with a fresh ES256 key of this name from now on, and goes on publishing the keys it had.
    pub fn add_key(&self, kid: &str) {
        self.lock().keys.insert(0, Arc::new(Key::generate("ES256", kid)));
    }

    /// Keeps this many of its latest keys, and publishes the others no longer. Returns those.
    pub fn keep_keys(&self, count: usize) -> Vec<Arc<Key>> {
        let mut shared = self.lock();
        let kept = count.min(shared.keys.len());
        shared.keys.split_off(kept)
    }

    /// Publishes this beside its keys from now on, whatever it is.
    pub fn publish_also(&self, odd: Value) {
        self.lock().odd.push(odd);
    }

    /// Its first key.
    pub fn key(&self) -> Arc<Key> {
        Arc::clone(self.lock().keys.first().expect("an issuer owns a key"))
    }

    /// All its keys.
    pub fn keys(&self) -> Vec<Arc<Key>> {
        self.lock().keys.clone()
    }

    /// Claims of a good token: this issuer, this caller and audience, valid for an hour.
    pub fn claims(&self, caller: &str, audience: &str) -> Value {
        let now = now();
        json!({"iss": self.name(), "sub": caller, "aud": audience, "iat": now, "exp": now + 3600})
    }

    /// Mints a token with its first key.
    pub fn mint(&self, claims: &Value) -> String {
        self.key().mint(claims)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds since 1970, as in `exp`.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}

/// Answers one request. Every answer closes the connection, so that an issuer that goes down is really gone.
fn serve(mut connection: Connection, shared: &Mutex<Shared>, fetches: &AtomicUsize) -> io::Result<()> {
    let Some(head) = connection.read_head()? else { return Ok(()) };
    let host = head.header("host").unwrap_or_default();
    let (behaviour, jwks, discovery) = {
        let shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let discovery = json!({"issuer": shared.name, "jwks_uri": format!("http://{host}{JWKS_PATH}")});
        (shared.behaviour, shared.jwks(), discovery)
    };
    let document = match head.target() {
        JWKS_PATH => {
            fetches.fetch_add(1, Ordering::SeqCst);
            jwks
        }
        DISCOVERY_PATH => discovery,
        _ => return connection.send_answer("404 Not Found", &[("Connection", "close")], b""),
    };
    let (status, body) = match behaviour {
        Behaviour::Empty => ("200 OK", r#"{"keys":[]}"#.to_owned()),
        Behaviour::Endless => {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n")?;
            loop {
                connection.send([b' '; 4096])?;
            }
        }
        Behaviour::Failing => ("500 Internal Server Error", "The database is on fire.".to_owned()),
        Behaviour::Garbage => ("200 OK", "<html>Sign in to the corporate Wi-Fi</html>".to_owned()),
        Behaviour::Healthy => ("200 OK", document.to_string()),
        Behaviour::Redirecting => {
            let headers = [("Location", head.target()), ("Connection", "close")];
            return connection.send_answer("302 Found", &headers, b"");
        }
        Behaviour::Slow(delay) => {
            thread::sleep(delay);
            ("200 OK", document.to_string())
        }
        Behaviour::Truncated => {
            let whole = document.to_string();
            let half = whole.get(..whole.len() / 2).unwrap_or_default();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{half}", whole.len());
            return connection.send(answer);
        }
    };
    let headers = [("Content-Type", "application/json"), ("Connection", "close")];
    connection.send_answer(status, &headers, body.as_bytes())
}

impl Shared {
    fn jwks(&self) -> Value {
        let keys: Vec<_> = self.odd.iter().cloned().chain(self.keys.iter().map(|key| key.jwk())).collect();
        json!({"keys": keys})
    }
}
