//! Nonces of ours in proofs (RFC 9449 §9): a client cannot make proofs today that are used tomorrow. Nothing is kept of them. Each is
//! a keyed hash of the period of time in which it is given out, and good in that period and the next one.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::UnixTime;

/// Makes nonces, and knows them again.
pub struct Nonces(Key);

impl Nonces {
    /// Nonces that nobody can make who does not have this secret.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(Key::new(HMAC_SHA256, secret))
    }

    /// The nonce that is given out now.
    #[must_use]
    pub fn current(&self, now: UnixTime) -> String {
        self.of(now.as_secs() / PERIOD)
    }

    /// Whether a nonce is given out now or was in the period before.
    #[must_use]
    pub fn accepts(&self, nonce: &str, now: UnixTime) -> bool {
        let period = now.as_secs() / PERIOD;
        [period, period.saturating_sub(1)].iter().any(|period| self.of(*period) == nonce)
    }

    fn of(&self, period: u64) -> String {
        let tag = sign(&self.0, &period.to_be_bytes());
        URL_SAFE_NO_PAD.encode(tag.as_ref().get(..BYTES).unwrap_or_default())
    }
}

/// How long the same nonce is given out, in seconds.
pub const PERIOD: u64 = 120;

/// The bytes of a nonce: too many to be guessed.
const BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_767_225_600);

    fn later(secs: u64) -> UnixTime {
        UnixTime::from_secs(NOW.as_secs() + secs)
    }

    #[test]
    fn a_nonce_is_good_in_its_period_and_the_next_one() {
        let nonces = Nonces::new(&[7; 32]);
        let nonce = nonces.current(NOW);
        assert_eq!(nonce.len(), 22);
        for (secs, good) in [(0, true), (PERIOD - 1, true), (PERIOD, true), (2 * PERIOD - 1, true), (2 * PERIOD, false)]
        {
            assert_eq!(nonces.accepts(&nonce, later(secs)), good, "{secs}");
        }
        assert!(!nonces.accepts(&nonces.current(later(PERIOD)), NOW), "one from the future");
    }

    #[test]
    fn a_nonce_of_another_secret_or_of_nobody_is_refused() {
        let nonces = Nonces::new(&[7; 32]);
        assert!(!nonces.accepts(&Nonces::new(&[8; 32]).current(NOW), NOW));
        for other in ["", "a", &"A".repeat(22), &nonces.current(NOW)[..21], &format!("{}=", nonces.current(NOW))] {
            assert!(!nonces.accepts(other, NOW), "{other:?}");
        }
    }
}
