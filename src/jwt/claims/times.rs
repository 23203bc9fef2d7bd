//! Claims that are times, as numbers.

use crate::clock::UnixTime;
use crate::json::{Number, Object, Value};
use crate::rejection::Reason;

/// Which way a fraction of a second is rounded: always the one that refuses more.
#[derive(Clone, Copy)]
pub(crate) enum Round {
    Down,
    Up,
}

/// A NumericDate claim (RFC 7519 §2): if it is there, a number of seconds from 1970 to 9999.
///
/// # Errors
/// `claim_invalid` if it is anything else.
pub(crate) fn time(claims: &Object<'_>, name: &str, round: Round) -> Result<Option<UnixTime>, Reason> {
    let seconds = match claims.get(name) {
        None => return Ok(None),
        Some(Value::Number(Number::Unsigned(seconds))) => *seconds,
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range lies far below 2^53, so these conversions are exact"
        )]
        Some(Value::Number(Number::Float(seconds))) if (0.0..=LAST_SECOND as f64).contains(seconds) => match round {
            Round::Down => seconds.floor() as u64,
            Round::Up => seconds.ceil() as u64,
        },
        Some(_) => return Err(Reason::ClaimInvalid),
    };
    if seconds <= LAST_SECOND { Ok(Some(UnixTime::from_secs(seconds))) } else { Err(Reason::ClaimInvalid) }
}

const LAST_SECOND: u64 = UnixTime::MAX.as_secs();
