//! File descriptors: each connection takes one, and its request another. The soft limit of many systems is 1024; a process may
//! raise its own up to the hard one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Makes room for that many connections and requests at once, or says that there is none.
pub fn make_room(connections: usize, requests: usize) {
    let wanted = (connections as u64).saturating_add(requests as u64).saturating_add(OTHERS);
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let raised = wanted.min(hard).max(soft);
    if raised > soft && setrlimit(Resource::RLIMIT_NOFILE, raised, hard).is_err() {
        tracing::warn!(soft, wanted, "The limit of open files could not be raised.");
    } else if raised < wanted {
        tracing::warn!(
            limit = raised,
            wanted,
            "The limit of open files is lower than limits.connections needs: raise it, or lower the key."
        );
    }
}

/// Listeners, logs, the issuers and the operators.
const OTHERS: u64 = 256;
