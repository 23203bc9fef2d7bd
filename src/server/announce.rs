//! What an operator reads first: one line that says what is protected, by whom, on which ports, with which warnings. And, as
//! long as requests are only reported, again and again that they are.

use std::time::Duration;

use super::listen::Listener;
use crate::config::Compiled;

/// Says where everything is, after everything that should be known about it.
pub(super) fn listening(listener: &Listener, admin: &Listener, config: &Compiled) {
    for warning in &config.warnings {
        tracing::warn!(%warning, "Configuration warning.");
    }
    let issuers: Vec<_> = config.issuers.iter().map(|issuer| issuer.rules.requirement.issuer()).collect();
    let audiences: Vec<_> =
        config.issuers.iter().flat_map(|issuer| issuer.rules.requirement.audiences()).map(String::as_str).collect();
    let reported: Vec<_> = config.modes.reported().iter().map(ToString::to_string).collect();
    let warned: Vec<_> = config.warnings.iter().map(|warning| warning.key.as_str()).collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        listen = %listener,
        upstream = %config.upstream.address,
        %admin,
        issuers = issuers.join(" "),
        audiences = audiences.join(" "),
        caller = config.caller.header(),
        mode = if reported.is_empty() { "enforce" } else { "report" },
        only_reported = reported.join("; "),
        public = config.public.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        warnings = warned.join("; "),
        "Callgate is listening."
    );
}

/// Says at intervals what is only reported, if anything is. It never ends.
pub(super) async fn remind(reported: impl Fn() -> Vec<String>) {
    loop {
        let what = reported();
        if !what.is_empty() {
            tracing::warn!(only_reported = what.join("; "), "Requests are only reported and never refused.");
        }
        tokio::time::sleep(REMIND).await;
    }
}

/// How often.
const REMIND: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_said_again_and_again_what_is_only_reported() {
        let times = Cell::new(0);
        let reported = || {
            times.set(times.get() + 1);
            vec!["all requests".to_owned()]
        };
        assert!(tokio::time::timeout(REMIND * 3 + REMIND / 2, remind(reported)).await.is_err(), "it never ends");
        assert_eq!(times.get(), 4, "at once, and after each interval");
    }
}
