//! One sentence per reason: who does what now. The docs have a paragraph for each.

use crate::rejection::Reason;

/// What to do about a refusal.
#[must_use]
pub const fn advice(reason: Reason) -> &'static str {
    match reason {
        Reason::AlgorithmRefused => {
            "The issuer signs with an algorithm, or a key for one, that is not allowed: compare 'algorithms' in sidecar.toml."
        }
        Reason::AudienceMismatch => {
            "The caller asks its issuer for a token for this service: one of the wanted names as aud."
        }
        Reason::BodyTooLarge => {
            "The client sends a smaller body, or 'limits.body_size' in sidecar.toml allows a larger one."
        }
        Reason::CallerUnusable => {
            "The issuer puts the caller's plain name into the claim, or 'caller.claim' in sidecar.toml names another one."
        }
        Reason::CertificateMismatch => {
            "The caller opens its connection with the certificate that it had at the issuer's token endpoint, and gets a new token when \
             that certificate changes."
        }
        Reason::CertificateMissing => {
            "The caller opens its connection to this service with its client certificate; no proxy on the way may end TLS."
        }
        Reason::ClaimInvalid => "The issuer writes the claim as it is wanted; times are seconds, not milliseconds.",
        Reason::ClaimMissing => "The issuer adds the claim to its tokens.",
        Reason::CriticalHeaderUnsupported => "The issuer makes plain signed tokens, without crit and b64.",
        Reason::HeadTooLarge => {
            "The client sends fewer or shorter header fields, or the limits in sidecar.toml allow more."
        }
        Reason::InternalError => "This is a fault of Callgate: please report it with this output.",
        Reason::IssuerUntrusted => {
            "Compare the token's iss with 'issuer' in sidecar.toml, character by character; a slash at the end counts."
        }
        Reason::KeyUnknown => {
            "The token was signed by another issuer or environment, or with a key that its issuer no longer or not yet \
             publishes: get a new token, or compare the kid with the issuer's key set."
        }
        Reason::KeysUnavailable => "The operator looks why the issuer's keys cannot be fetched; the token may be good.",
        Reason::LifetimeExceeded => {
            "The issuer gives its tokens a shorter life, or 'max_lifetime' in sidecar.toml a longer one."
        }
        Reason::MethodRefused => "The client uses an ordinary method; this one is never forwarded.",
        Reason::Overloaded => "The client tries again a little later; the operator looks at the load.",
        Reason::ProofExpired => {
            "The caller signs a new proof for each request, and its clock is right; 'dpop.window' in sidecar.toml, or \
             'wimse.window' for workloads, says for how long one is good."
        }
        Reason::ProofInvalid => {
            "The caller signs the proof with the key of its token, for this method, this URL and this token; the URL is one of \
             'forwarding.external_urls' in sidecar.toml with the request's path."
        }
        Reason::ProofMissing => {
            "The caller signs a proof for the request with the key of its token, and sends it as DPoP, or as Workload-Proof-Token."
        }
        Reason::ProofNonceWanted => {
            "The caller puts the value of the answer's DPoP-Nonce field into the proof as nonce, and sends the request again."
        }
        Reason::ProofReplayed => {
            "The caller signs a new proof for each request, also when it sends one again. If it did, somebody else has shown its proof."
        }
        Reason::ProofUncheckable => {
            "The caller tries again with a new proof; the operator makes 'dpop.memory' in sidecar.toml larger."
        }
        Reason::RequestMalformed => "The client sends well-formed HTTP.",
        Reason::RequestTimeout => "The client sends its request without long pauses.",
        Reason::SignatureInvalid => {
            "The token was changed or cut on its way, or signed by another key than it says: get a new one from the issuer, \
             and pass it on as it is."
        }
        Reason::TokenAmbiguous => {
            "The caller sends one token, in one field: Authorization, or the one that 'token.header' in sidecar.toml names."
        }
        Reason::TokenBound => {
            "The caller gets a token that is not bound: its issuer leaves out cnf for this service (no DPoP, no mutual TLS at the token \
             endpoint). Or 'issuers[].binding' in sidecar.toml allows the proof."
        }
        Reason::TokenExpired => {
            "The caller gets a new token, and does so before each one expires; compare the clocks if it just did."
        }
        Reason::TokenMalformed => {
            "The caller sends the token exactly as its issuer gave it: three parts, no quotes, no padding."
        }
        Reason::TokenMissing => "The caller sends its token in the field that the detail names.",
        Reason::TokenNotYetValid => {
            "Compare the clocks of the issuer and of this machine; a small 'leeway' bridges the rest."
        }
        Reason::TokenRevoked => "The operator put it on the deny-list: the caller gets a new token, or asks why.",
        Reason::TokenTooLarge => {
            "The issuer makes smaller tokens, or 'limits.token_size' in sidecar.toml allows larger ones."
        }
        Reason::TokenUnbound => {
            "The caller gets its token with its client certificate, so that the issuer binds it to that; or 'bearer' in sidecar.toml \
             allows tokens that are bound to nothing."
        }
        Reason::TunnelIdle => "Whoever uses the WebSocket sends a ping from time to time.",
        Reason::TypeRefused => {
            "The caller uses an access token, not another kind of token of the same issuer; compare 'typ'."
        }
        Reason::UpstreamTimeout => "The operator looks why the service behind Callgate is slow.",
        Reason::UpstreamUnreachable => "The operator looks why the service behind Callgate is down.",
    }
}
