//! Single values of a scrape.

use std::time::{Duration, Instant};

use testkit::http::PATIENCE;
use testkit::sidecar::Sidecar;

/// The value of the first sample of this name with these labels.
pub(crate) fn sample(sidecar: &Sidecar, name: &str, labels: &[&str]) -> Option<f64> {
    let text = sidecar.ask_admin("/metrics").text();
    let is_named = |line: &&str| line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} "));
    let line = text.lines().filter(is_named).find(|line| labels.iter().all(|label| line.contains(label)));
    line?.rsplit(' ').next()?.parse().ok()
}

/// Scrapes until a sample satisfies a condition.
pub(crate) fn wait_for_sample(sidecar: &Sidecar, name: &str, labels: &[&str], wanted: impl Fn(f64) -> bool) {
    let end = Instant::now() + PATIENCE;
    loop {
        let value = sample(sidecar, name, labels);
        if value.is_some_and(&wanted) {
            return;
        }
        assert!(Instant::now() < end, "{name} {labels:?} is {value:?}\n{}", sidecar.log());
        std::thread::sleep(Duration::from_millis(10));
    }
}
