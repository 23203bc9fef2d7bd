//! Where a request's end is written down, once: audit, metrics and, if they are wanted, traces.

use std::sync::Arc;

use crate::audit::Audit;
use crate::metrics::Metrics;
use crate::trace::Tracer;

/// All that hears of a request that has ended.
pub struct RecordSinks {
    pub audit: Audit,
    pub metrics: Arc<Metrics>,
    /// `None` if nothing is traced.
    pub tracer: Option<Tracer>,
}
