//! Clients that go on sending: each has one connection, which it leaves when it is told to, and then takes one to an instance
//! that is in rotation, as behind a load balancer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use testkit::http::{Answer, Connection};

/// The instances that new connections go to.
#[derive(Clone, Default)]
pub(crate) struct Rotation(Arc<Mutex<Vec<SocketAddr>>>, Arc<AtomicUsize>);

impl Rotation {
    /// With this instance.
    pub(crate) fn of(address: SocketAddr) -> Self {
        let rotation = Self::default();
        rotation.add(address);
        rotation
    }

    /// Takes an instance in.
    pub(crate) fn add(&self, address: SocketAddr) {
        self.0.lock().unwrap().push(address);
    }

    /// Takes an instance out.
    pub(crate) fn remove(&self, address: SocketAddr) {
        self.0.lock().unwrap().retain(|other| *other != address);
    }

    fn next(&self) -> SocketAddr {
        let addresses = self.0.lock().unwrap();
        addresses[self.1.fetch_add(1, Ordering::SeqCst) % addresses.len()]
    }
}

/// Running clients.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    failures: Arc<Mutex<Vec<String>>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts so many clients that send this request again and again. `judge` says what is wrong with an answer.
    pub(crate) fn start(
        clients: usize,
        rotation: &Rotation,
        request: &[u8],
        judge: impl Fn(&Answer) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let load =
            Self { stop: Arc::default(), answered: Arc::default(), failures: Arc::default(), clients: Vec::new() };
        let judge = Arc::new(judge);
        let start = |_| {
            let (rotation, request, judge) = (rotation.clone(), request.to_vec(), Arc::clone(&judge));
            let (stop, answered) = (Arc::clone(&load.stop), Arc::clone(&load.answered));
            let failures = Arc::clone(&load.failures);
            thread::spawn(move || {
                let mut connection = None;
                while !stop.load(Ordering::SeqCst) {
                    match exchange(&mut connection, &rotation, &request).and_then(|answer| judge(&answer)) {
                        Ok(()) => answered.fetch_add(1, Ordering::SeqCst),
                        Err(failure) => {
                            failures.lock().unwrap().push(failure);
                            connection = None;
                            0
                        }
                    };
                }
            })
        };
        let clients = (0..clients).map(start).collect();
        Self { clients, ..load }
    }

    /// Ends after the requests that are under way. Returns how many were answered; panics if any failed.
    pub(crate) fn end(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.join().unwrap();
        }
        let failures = self.failures.lock().unwrap();
        let answered = self.answered.load(Ordering::SeqCst);
        assert!(
            failures.is_empty(),
            "{} of {answered} requests failed: {:#?}",
            failures.len(),
            &failures[..failures.len().min(10)]
        );
        answered
    }
}

fn exchange(connection: &mut Option<Connection>, rotation: &Rotation, request: &[u8]) -> Result<Answer, String> {
    let said = |step: &str, error: std::io::Error| format!("{step}: {error}");
    if connection.is_none() {
        *connection = Some(Connection::open(rotation.next()).map_err(|error| said("connect", error))?);
    }
    let open = connection.as_mut().expect("it was opened");
    let answer = open.exchange(request).map_err(|error| said("exchange", error))?;
    if answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
        *connection = None;
    }
    Ok(answer)
}
