//! What is counted about accepted tokens: what their verification costs, how long they still live, and what their times say
//! about the issuer's clock. The labels are configured issuers and registered algorithms.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntGauge, IntGaugeVec};

use super::registrar::Registrar;
use crate::clock::UnixTime;

/// The metrics of accepted tokens.
pub struct TokenMetrics {
    verification: HistogramVec,
    remaining: HistogramVec,
    clock: IntGaugeVec,
}

/// Those of one issuer's tokens.
#[derive(Clone)]
pub struct IssuerTokenMetrics {
    verification: HistogramVec,
    remaining: Histogram,
    clock: IntGauge,
    window: Arc<Mutex<Option<Window>>>,
}

/// The largest `iat` less our time, of the last minutes.
#[derive(Clone, Copy, Debug)]
struct Window {
    began: UnixTime,
    largest: i64,
    previous: i64,
}

impl TokenMetrics {
    pub(super) fn register(registrar: &Registrar<'_>) -> Result<Self, prometheus::Error> {
        let histograms = |name: &str, help: &str, buckets: &[f64], label: &str| {
            registrar.register(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), &[label])?)
        };
        Ok(Self {
            verification: histograms(
                "callgate_verification_seconds",
                "Time of the decisions that accepted a token, by the algorithm of its signature.",
                &VERIFICATION_BUCKETS,
                "algorithm",
            )?,
            remaining: histograms(
                "callgate_token_remaining_seconds",
                "Time that accepted tokens had left until their exp; 0 for those that lived on leeway.",
                &REMAINING_BUCKETS,
                "issuer",
            )?,
            clock: registrar.gauges(
                "callgate_clock_difference_seconds",
                "The largest iat of the issuer's tokens of the last minutes, less our time at their arrival: the issuer's clock is ahead by at least this, or, if it is negative, behind by at most this.",
                &["issuer"],
            )?,
        })
    }

    /// Those of a configured issuer.
    #[must_use]
    pub fn issuer(&self, issuer: &str) -> IssuerTokenMetrics {
        IssuerTokenMetrics {
            verification: self.verification.clone(),
            remaining: self.remaining.with_label_values(&[issuer]),
            clock: self.clock.with_label_values(&[issuer]),
            window: Arc::default(),
        }
    }
}

impl IssuerTokenMetrics {
    /// Counts a request with an accepted token, by the token's `exp`.
    pub fn accepted(&self, expires: UnixTime, now: UnixTime) {
        self.remaining.observe(expires.since(now).as_secs_f64());
    }

    /// Counts a verification: the time of the decision itself, without waiting for keys. The algorithm is a registered name: the
    /// token was accepted.
    pub fn verified(&self, algorithm: &str, took: Duration, issued: Option<UnixTime>, now: UnixTime) {
        self.verification.with_label_values(&[algorithm]).observe(took.as_secs_f64());
        if let Some(issued) = issued {
            let difference = signed(issued).saturating_sub(signed(now));
            self.clock.set(self.largest(now, difference));
        }
    }

    fn largest(&self, now: UnixTime, difference: i64) -> i64 {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = Window { began: now, largest: difference, previous: i64::MIN };
        window.get_or_insert(begun).largest(now, difference)
    }
}

impl Window {
    fn largest(&mut self, now: UnixTime, difference: i64) -> i64 {
        let age = now.since(self.began);
        if age >= WINDOW {
            self.previous = if age < WINDOW * 2 { self.largest } else { i64::MIN };
            (self.began, self.largest) = (now, difference);
        }
        self.largest = self.largest.max(difference);
        self.largest.max(self.previous)
    }
}

fn signed(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// A difference counts for one to two of these.
const WINDOW: Duration = Duration::from_secs(300);

/// From an RSA signature's microseconds, over the elliptic curves', to a machine in trouble.
const VERIFICATION_BUCKETS: [f64; 12] =
    [10e-6, 20e-6, 35e-6, 50e-6, 75e-6, 100e-6, 150e-6, 250e-6, 500e-6, 1e-3, 5e-3, 25e-3];

const REMAINING_BUCKETS: [f64; 10] = [0.0, 1.0, 5.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 86_400.0];

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    #[test]
    fn the_clock_is_judged_by_the_newest_tokens_of_the_last_minutes() {
        let registry = Registry::new();
        let tokens = TokenMetrics::register(&Registrar(&registry)).unwrap();
        let difference = || tokens.clock.with_label_values(&["a"]).get();
        let issuer = tokens.issuer("a");
        let see = |now: u64, issued: u64| {
            let (now, issued) = (UnixTime::from_secs(now), UnixTime::from_secs(issued));
            issuer.verified("ES256", Duration::from_micros(60), Some(issued), now);
        };
        see(10_000, 9_000);
        assert_eq!(difference(), -1000, "an old token says little");
        see(10_001, 10_004);
        assert_eq!(difference(), 3, "one from the future says much");
        see(10_400, 10_395);
        assert_eq!(difference(), 3, "and is remembered");
        see(11_000, 10_995);
        assert_eq!(difference(), -5, "but not for ever");
    }

    #[test]
    fn every_accepted_request_counts_the_time_its_token_had_left() {
        let registry = Registry::new();
        let tokens = TokenMetrics::register(&Registrar(&registry)).unwrap();
        let issuer = tokens.issuer("a");
        issuer.accepted(UnixTime::from_secs(130), UnixTime::from_secs(100));
        issuer.accepted(UnixTime::from_secs(130), UnixTime::from_secs(150));
        let remaining = tokens.remaining.with_label_values(&["a"]);
        assert_eq!((remaining.get_sample_count(), remaining.get_sample_sum()), (2, 30.0), "0 for what lives on leeway");
    }
}
