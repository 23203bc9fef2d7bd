//! A real store as instances share it: Debian's `redis-server`, empty, on a port of its own.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer as Authority, KeyPair};
use tempfile::TempDir;

use super::http::PATIENCE;
use super::process::Process;
use super::tools;

/// A running store.
pub struct Redis {
    program: PathBuf,
    directory: TempDir,
    port: u16,
    more: Vec<String>,
    process: Option<Process>,
}

impl Redis {
    /// Starts one. `None` if there is no such program here, which is noted.
    pub fn start(test: &str) -> Option<Self> {
        Self::start_with(test, &[])
    }

    /// The same with further arguments of its command line, in which `DIR` stands for its directory.
    pub fn start_with(test: &str, more: &[&str]) -> Option<Self> {
        let Some(program) = tools::find("redis-server") else {
            tools::skip(test, "redis-server is not installed");
            return None;
        };
        let directory = tempfile::tempdir().expect("a directory can be made");
        let more = more.iter().map(|word| word.replace("DIR", &directory.path().display().to_string())).collect();
        let mut redis = Self { program, directory, port: 0, more, process: None };
        redis.certify();
        // Somebody else may take the port between the look for one and its use.
        for _ in 0..10 {
            redis.port = free_port();
            if redis.run() {
                return Some(redis);
            }
        }
        panic!("redis-server does not start");
    }

    /// Its address as the configuration has it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A file in its directory: `redis.sock`, `ca.pem`, `server.pem` and `server.key` among them.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Ends it at once. What it held is lost.
    pub fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.signal(Signal::SIGKILL);
            process.end(PATIENCE);
        }
    }

    /// Starts it again where it was, empty.
    pub fn restart(&mut self) {
        self.stop();
        let end = Instant::now() + PATIENCE;
        while !self.run() {
            assert!(Instant::now() < end, "redis-server does not start again");
        }
    }

    /// Lets it hang: its port takes connections, and nothing is answered.
    pub fn freeze(&self) {
        self.process.as_ref().expect("it runs").signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.process.as_ref().expect("it runs").signal(Signal::SIGCONT);
    }

    /// What it answers to a command, without the marks of the protocol.
    pub fn ask(&self, command: &[&str]) -> String {
        ask(self.port, command).expect("it answers")
    }

    /// The proofs that it holds, by their names.
    pub fn claims(&self) -> Vec<String> {
        let names = self.ask(&["EVAL", "return table.concat(redis.call('keys', '*'), ' ')", "0"]);
        names.split_whitespace().filter(|name| !name.ends_with(":check")).map(str::to_owned).collect()
    }

    /// Listens from now on to everything that it is asked.
    pub fn monitor(&self) -> Monitor {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.write_all(&packed(&["MONITOR"])).expect("it reads");
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).expect("it answers");
        assert_eq!(line, "+OK\r\n");
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let lines = Arc::clone(&heard);
        thread::spawn(move || {
            for line in reader.lines().map_while(Result::ok) {
                lines.lock().expect("no panic").push(line);
            }
        });
        Monitor(heard)
    }

    /// Whether it runs and answers now.
    fn run(&mut self) -> bool {
        let (port, directory) = (self.port.to_string(), self.directory.path().display().to_string());
        let fixed = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", &directory];
        let words: Vec<OsString> =
            fixed.into_iter().map(OsString::from).chain(self.more.iter().map(OsString::from)).collect();
        let words: Vec<_> = words.iter().map(OsString::as_os_str).collect();
        let process = Process::start(&self.program, &words).unwrap_or_else(|error| panic!("{error}"));
        let pid = process.pid().to_string();
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            // Another one may listen there.
            if ask(self.port, &["INFO", "server"]).is_some_and(|info| info.contains(&format!("process_id:{pid}\r"))) {
                self.process = Some(process);
                return true;
            }
            thread::sleep(Duration::from_millis(20));
        }
        process.end(Duration::ZERO);
        false
    }

    /// A certificate for `localhost`, for a store that speaks TLS.
    fn certify(&self) {
        let key = KeyPair::generate().expect("a key can be made");
        let mut parameters = CertificateParams::new([]).expect("no names are needed");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).expect("an authority vouches for itself");
        let write = |name: &str, pem: String| std::fs::write(self.file(name), pem).expect("it can be written");
        write("ca.pem", certificate.pem());
        let authority = Authority::new(parameters, key);
        let key = KeyPair::generate().expect("a key can be made");
        let parameters = CertificateParams::new(["localhost".to_owned()]).expect("the name is a good one");
        let certificate = parameters.signed_by(&key, &authority).expect("the authority vouches for the server");
        write("server.pem", certificate.pem());
        write("server.key", key.serialize_pem());
    }
}

/// What a store was asked.
pub struct Monitor(Arc<Mutex<Vec<String>>>);

impl Monitor {
    /// Every command so far, one a line.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }

    /// The claims among them.
    pub fn claims(&self) -> Vec<String> {
        self.lines()
            .into_iter()
            .filter(|line| line.contains("callgate:replay:") && !line.contains(":check\""))
            .collect()
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port is free").port()
}

fn ask(port: u16, command: &[&str]) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(&packed(command)).ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let (kind, rest) = line.trim_end().split_at_checked(1)?;
    if kind != "$" {
        return Some(rest.to_owned());
    }
    let mut content = vec![0; rest.parse().unwrap_or(0)];
    reader.read_exact(&mut content).ok()?;
    String::from_utf8(content).ok()
}

fn packed(command: &[&str]) -> Vec<u8> {
    let words: String = command.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    format!("*{}\r\n{words}", command.len()).into_bytes()
}
