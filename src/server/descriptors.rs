//! File descriptors: each connection takes one, and its request another. The soft limit of many systems is 1024; a process may
//! raise its own up to the hard one. What is accepted beyond the limit would take the descriptors of upstream connections, of the
//! admin port and of files.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit of open files if that is needed. Returns how many connections may be open within it: as many as wanted, or
/// fewer.
pub(super) fn make_room(connections: usize, requests: usize) -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return connections };
    let wanted = (connections as u64).saturating_add(requests.min(connections) as u64).saturating_add(RESERVE);
    let mut limit = soft;
    if wanted > soft && setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard).max(soft), hard).is_ok() {
        limit = wanted.min(hard).max(soft);
    }
    let room = fit(limit, connections, requests);
    if room < connections {
        tracing::warn!(
            limit,
            wanted,
            connections = room,
            "Fewer connections than limits.connections may be open: the limit of open files is too low."
        );
    }
    room
}

/// How many connections fit into a limit of open files, with as many upstream connections as there may be requests, and a
/// reserve.
fn fit(limit: u64, connections: usize, requests: usize) -> usize {
    // With a limit that is very low, something is left for both.
    let available = usize::try_from(limit - RESERVE.min(limit / 2)).unwrap_or(usize::MAX);
    // A connection has at most one request, or streams that share upstream connections or are refused.
    let with_all_requests = available.saturating_sub(requests);
    connections.min(with_all_requests.max(available / 2)).max(1)
}

/// Listeners, logs, the admin port, the issuers, and idle connections to the upstream.
const RESERVE: u64 = 384;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_and_their_requests_fit_into_the_limit_with_a_reserve() {
        for (limit, connections, requests, expected) in [
            (1_048_576, 10_000, 1024, 10_000),
            (20_000, 10_000, 1024, 10_000),
            (11_408, 10_000, 1024, 10_000),
            (11_407, 10_000, 1024, 9_999),
            (4096, 10_000, 1024, 2688),
            // Half for the callers and half for the upstream.
            (1024, 10_000, 1024, 320),
            (1024, 200, 100_000, 200),
            (100, 10_000, 1024, 25),
            (1, 1, 1, 1),
        ] {
            let room = fit(limit, connections, requests);
            assert_eq!(room, expected, "{limit} {connections} {requests}");
            assert!(limit < 4 || (room + requests.min(room)) as u64 <= limit, "{limit} {connections} {requests}");
        }
    }
}
