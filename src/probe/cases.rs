//! The cases: what is sent, where it is known from, and what would show that it got through. They are made of one good token and
//! the target's description alone, so that a test can judge the same tokens without a network.

mod forms;
mod frames;
mod framing;
mod identity;
mod paths;
mod placement;
mod signatures;
mod tokens;

use super::attempt::{Case, Class, Proof, Request, Weight};
use super::target::Target;

pub use tokens::tokens;

/// Every case for this target, in a stable order.
#[must_use]
pub fn cases(target: &Target, direct: Option<&str>) -> Vec<Case> {
    let mut cases = placement::without_token(target);
    cases.extend(tokens(&target.token, &target.public_secrets).into_iter().map(|case| case.at(target)));
    cases.extend(placement::cases(target));
    cases.extend(identity::cases(target));
    cases.extend(paths::cases(target));
    cases.extend(framing::cases(target));
    cases.extend(frames::cases(target));
    cases.extend(direct.map(|address| Case {
        class: Class::Direct,
        source: "own",
        what: "a request without a token to the service's own port".to_owned(),
        weight: Weight::Bypass,
        request: Request::Direct(address.to_owned()),
        proof: Proof::Taken,
    }));
    cases
}

/// The request that has to pass, over HTTP/2.
#[must_use]
pub fn good_http2(target: &Target) -> Request {
    frames::good(target)
}
