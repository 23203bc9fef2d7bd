//! Whether an instance is ready to serve, by the keys that it has: which issuers must have usable keys.

/// Whose missing keys make the instance not ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readiness {
    /// Those of each required issuer.
    #[default]
    All,
    /// Those of all required issuers together: one that has keys is enough.
    Any,
}

impl Readiness {
    /// Whether the instance is ready. Each issuer is whether it is required, and whether it has usable keys. If none is required,
    /// one with keys is enough: without any, every token would be answered with `503`.
    #[must_use]
    pub fn is_met(self, issuers: &[(bool, bool)]) -> bool {
        let mut required = issuers.iter().filter(|(required, _)| *required).peekable();
        match self {
            _ if required.peek().is_none() => issuers.iter().any(|(_, usable)| *usable),
            Self::All => required.all(|(_, usable)| *usable),
            Self::Any => required.any(|(_, usable)| *usable),
        }
    }

    /// Its word in the configuration and in `/readyz`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Any => "any",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_issuers_decide_and_if_there_are_none_any_does() {
        let (up, down, optional_up, optional_down) = ((true, true), (true, false), (false, true), (false, false));
        for (issuers, all, any) in [
            (&[up, up][..], true, true),
            (&[up, down], false, true),
            (&[down, down], false, false),
            (&[up, optional_down], true, true),
            (&[down, optional_up], false, false),
            (&[optional_up, optional_down], true, true),
            (&[optional_down, optional_down], false, false),
        ] {
            assert_eq!(Readiness::All.is_met(issuers), all, "all of {issuers:?}");
            assert_eq!(Readiness::Any.is_met(issuers), any, "any of {issuers:?}");
        }
    }
}
