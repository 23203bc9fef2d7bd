//! The labels and the value of one series.

use prometheus::proto::Metric;

/// The value of a label; empty if there is none.
pub(super) fn label<'m>(series: &'m Metric, name: &str) -> &'m str {
    series.get_label().iter().find(|label| label.name() == name).map_or("", |label| label.value())
}

/// The value of a counter of whole numbers.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it counts up from 0, and not beyond 2^53")]
pub(super) const fn whole(value: f64) -> u64 {
    value as u64
}

/// The label value of all those that are not counted by name.
pub(super) const OTHER: &str = "other";

/// The label value where there is nothing to name.
pub(super) const NONE: &str = "none";
