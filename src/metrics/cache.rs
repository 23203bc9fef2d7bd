//! What is counted about the cache of accepted tokens.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, IntCounter, IntGauge, Registry};

use super::registrar::Registrar;

/// The metrics of the cache.
pub struct CacheMetrics {
    /// Requests whose token had been accepted before.
    pub hits: IntCounter,
    /// Requests whose token was accepted and had to be verified.
    pub misses: IntCounter,
}

/// How full the cache is, which is looked up at each scrape.
struct AtScrape<F> {
    usage: F,
    tokens: IntGauge,
    bytes: IntGauge,
}

impl CacheMetrics {
    pub(super) fn register(registrar: &Registrar<'_>) -> Result<Self, Error> {
        Ok(Self {
            hits: registrar.counter(
                "callgate_token_cache_hits_total",
                "Accepted requests whose token had been verified before, and was still good.",
            )?,
            misses: registrar.counter(
                "callgate_token_cache_misses_total",
                "Accepted requests whose token had to be verified, as at the first and at the second time that it is shown.",
            )?,
        })
    }

    /// Says at each scrape how many tokens the cache holds and how many bytes it takes.
    ///
    /// # Errors
    /// If metrics of these names are registered already.
    pub fn watch(registry: &Registry, usage: impl Fn() -> (usize, u64) + Send + Sync + 'static) -> Result<(), Error> {
        registry.register(Box::new(AtScrape {
            usage,
            tokens: IntGauge::new("callgate_token_cache_tokens", "Accepted tokens that are remembered.")?,
            bytes: IntGauge::new("callgate_token_cache_bytes", "Memory of the accepted tokens that are remembered.")?,
        }))
    }
}

impl<F: Fn() -> (usize, u64) + Send + Sync> Collector for AtScrape<F> {
    fn desc(&self) -> Vec<&Desc> {
        [self.tokens.desc(), self.bytes.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (tokens, bytes) = (self.usage)();
        self.tokens.set(i64::try_from(tokens).unwrap_or(i64::MAX));
        self.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        [self.tokens.collect(), self.bytes.collect()].concat()
    }
}
