//! `callgate probe`: is this deployment protected, whatever product stands there? It takes one good token, sends from outside what
//! somebody without the issuer's key could send, and says what got through. It knows nothing of how the deployment is made.

mod answer;
mod attempt;

pub mod cases;
mod connection;
mod forge;
mod http1;
mod http2;
mod judge;
mod report;
mod target;

use std::io::{self, Write};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

pub use attempt::{Case, Class, MARKER, Proof, Request, TokenCase, Weight};
pub use cases::cases;
pub use connection::{ConnectError, Connector};
pub use judge::{Finding, Verdict};
pub use report::{FAILED, NOT_TO_TELL, PASSED};
pub use target::{Target, TargetError, TargetOptions};

use answer::Answer;
use judge::Baseline;

/// The exit code when the options name something that cannot be used (`EX_USAGE` of sysexits.h).
pub const UNUSABLE: u8 = 64;
/// The exit code when the deployment cannot be reached (`EX_UNAVAILABLE` of sysexits.h).
pub const UNREACHABLE: u8 = 69;

/// What is asked.
#[derive(Debug)]
pub struct Options {
    /// What is probed.
    pub target: TargetOptions,
    /// PEM of the authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The address of the service's own port, which must not answer.
    pub direct: Option<String>,
    /// Requests in a second, at most.
    pub rate: u32,
    /// For a connection, and for each read.
    pub timeout: Duration,
    /// Only list the cases.
    pub dry_run: bool,
    /// Only the cases whose class or description contains this.
    pub only: Option<String>,
    /// Print the result as JSON.
    pub json: bool,
    /// Write the result as JUnit's XML to this file too.
    pub junit: Option<PathBuf>,
}

/// Probes, tells progress to `err` and the result to `out`. Returns the exit code.
///
/// # Errors
/// If what is to be said cannot be written.
pub fn run(options: &Options, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let (target, connector) = match prepare(options) {
        Ok(prepared) => prepared,
        Err(error) => return writeln!(err, "callgate probe: {error}").map(|()| UNUSABLE),
    };
    let mut all = cases(&target, options.direct.as_deref());
    if let Some(only) = &options.only {
        all.retain(|case| case.class.name().contains(only.as_str()) || case.what.contains(only.as_str()));
    }
    if options.dry_run {
        report::text::list(&all, out)?;
        return Ok(PASSED);
    }
    let mut probe = Probe { target: &target, connector, pace: Pace::new(options.rate) };
    let baseline = match probe.baseline() {
        Ok(baseline) => baseline,
        Err(NoBaseline { came, code }) => {
            writeln!(err, "callgate probe: the good token must pass first, and {came}. Nothing was probed.")?;
            return Ok(code);
        }
    };
    writeln!(err, "The good token passes with {}. {} cases follow.", baseline.status, all.len())?;
    let run = probe.run(all, &baseline, err)?;
    let report = report::Report::new(&target, &baseline, run.good, run.findings);
    if let Some(path) = &options.junit {
        let mut file = std::fs::File::create(path)?;
        report::junit::write(&report, &mut file)?;
    }
    match options.json {
        true => report::json::write(&report, out)?,
        false => report::text::write(&report, out)?,
    }
    Ok(report.exit_code())
}

fn prepare(options: &Options) -> Result<(Target, Connector), Unusable> {
    let target = Target::new(&options.target)?;
    let connector = Connector::new(&target, options.ca_file.as_deref(), options.timeout)?;
    Ok((target, connector))
}

/// Why nothing can be probed with these options.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// What came for the good token, and the exit code that it means.
struct NoBaseline {
    came: String,
    code: u8,
}

struct Probe<'a> {
    target: &'a Target,
    connector: Connector,
    pace: Pace,
}

/// The findings, and how the good token fared meanwhile.
struct Run {
    findings: Vec<Finding>,
    /// Good requests sent between the cases and at the end, and those of them that passed.
    good: (usize, usize),
}

impl Probe<'_> {
    /// The answers to the good token, which all others are compared with.
    fn baseline(&mut self) -> Result<Baseline, NoBaseline> {
        let good = self.send(&attempt::good(self.target, &self.target.path));
        let status = match good.success() {
            Some(status) => status,
            None if good.is_unreachable() => return Err(NoBaseline { came: good.to_string(), code: UNREACHABLE }),
            None => return Err(NoBaseline { came: format!("{good} came"), code: NOT_TO_TELL }),
        };
        let echo = self.target.echo_path.as_ref().and_then(|path| {
            let answer = self.send(&attempt::good(self.target, path));
            answer.success().map(|_| judge::told_callers(&answer.body, &self.target.caller_header))
        });
        let without_token = self.send(&attempt::without_token(self.target, &self.target.path)).success().is_some();
        let speaks_http2 = self.send(&cases::good_http2(self.target)).success().is_some();
        Ok(Baseline { status, echo, speaks_http2, is_open: without_token })
    }

    /// Sends every case, and the good token after each few of them. If that one is refused, it may be that everything is, so what
    /// was refused since it last passed says nothing.
    fn run(&mut self, cases: Vec<Case>, baseline: &Baseline, err: &mut impl Write) -> io::Result<Run> {
        let count = cases.len();
        let mut run = Run { findings: Vec::with_capacity(count), good: (0, 0) };
        let mut sure = 0;
        for (index, case) in cases.into_iter().enumerate() {
            let finding = match &case.request {
                Request::Http2 { .. } if !baseline.speaks_http2 => {
                    Finding::unknown(case, "HTTP/2 is not spoken here".to_owned())
                }
                request => {
                    let answer = self.send(request);
                    judge::judge(case, &answer, baseline)
                }
            };
            if finding.verdict == Verdict::Fail {
                writeln!(err, "FAIL  {}: {}: {}", finding.case.class.name(), finding.case.what, finding.came)?;
            }
            run.findings.push(finding);
            if (index + 1) % GOOD_EVERY == 0 || index + 1 == count {
                run.good.0 += 1;
                if self.passes_again(baseline) {
                    run.good.1 += 1;
                } else {
                    let doubtful = run.findings.iter_mut().skip(sure);
                    doubtful.for_each(|finding| finding.doubt("the good token did not pass after it"));
                    writeln!(err, "The good token does not pass any more; the last cases are not to tell.")?;
                }
                sure = run.findings.len();
                writeln!(err, "{sure} of {count} cases sent.")?;
            }
        }
        Ok(run)
    }

    fn passes_again(&mut self, baseline: &Baseline) -> bool {
        self.send(&attempt::good(self.target, &self.target.path)).success() == Some(baseline.status)
    }

    /// Asks the service's own address without a token, and without TLS: the way around the proxy.
    fn around(&self, address: &str) -> Answer {
        match attempt::without_token(self.target, &self.target.path) {
            Request::Http1(bytes) => http1::send_to(&self.connector, address, &bytes),
            Request::Http2 { .. } | Request::Direct(_) => Answer::none(answer::End::Unreachable),
        }
    }

    fn send(&mut self, request: &Request) -> Answer {
        self.pace.wait();
        match request {
            Request::Http1(bytes) => http1::send(&self.connector, bytes),
            Request::Http2 { fields, body } => http2::send(&self.connector, fields, body),
            Request::Direct(address) => self.around(address),
        }
    }
}

/// How many cases are sent before the good token is tried again.
const GOOD_EVERY: usize = 25;

/// Holds the requests apart.
struct Pace {
    gap: Duration,
    next: Instant,
}

impl Pace {
    fn new(rate: u32) -> Self {
        Self { gap: Duration::from_secs(1) / rate.max(1), next: Instant::now() }
    }

    fn wait(&mut self) {
        let now = Instant::now();
        thread::sleep(self.next.saturating_duration_since(now));
        self.next = self.next.max(now) + self.gap;
    }
}
