//! What the status says of a configuration.

use std::path::Path;
use std::time::SystemTime;

use crate::config::{self, Compiled};
use crate::status::{BoundTokens, InForce, Issuer, Service};

/// The notes about a configuration that comes into force now.
pub(super) fn in_force(file: &Path, config: &Compiled, listen: String) -> InForce {
    InForce {
        file: file.display().to_string(),
        since: SystemTime::now().into(),
        service: Service {
            listen,
            upstream: config.upstream.address.to_string(),
            caller_header: config.caller.header().to_owned(),
            caller_claim: config.caller.claim().to_string(),
            public: config.public.iter().map(ToString::to_string).collect(),
        },
        reported: config.modes.reported().iter().map(ToString::to_string).collect(),
        issuers: config.issuers.iter().map(issuer).collect(),
        warnings: config.warnings.iter().map(ToString::to_string).collect(),
        cache: config.cache,
        audit_queue: config.audit.queue as u64,
    }
}

fn issuer(issuer: &config::Issuer) -> Issuer {
    let requirement = &issuer.rules.requirement;
    let binding = requirement.binding();
    Issuer {
        issuer: requirement.issuer().to_owned(),
        audiences: requirement.audiences().to_vec(),
        algorithms: requirement.algorithms().iter().map(|algorithm| algorithm.name().to_owned()).collect(),
        keys_from: issuer.origin.location.document(),
        required: issuer.required,
        ready: false,
        keys: Vec::new(),
        age_seconds: None,
        next_refresh_seconds: None,
        failures: 0,
        detail: None,
        bound_tokens: binding.allows_bound().then(|| BoundTokens::new(!binding.bearer)),
    }
}
