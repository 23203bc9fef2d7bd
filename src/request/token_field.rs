//! The one field in which requests carry the token: `Authorization`, or another one by configuration.

use std::borrow::Cow;

use crate::http1::fields::letters;

/// The one field in which requests carry the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenField {
    name: Cow<'static, str>,
    scheme: Scheme,
    takes_dpop: bool,
    takes_workload: bool,
}

/// What stands before the token in its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `Bearer` and at least one space (RFC 9110 §11.4).
    Bearer,
    /// Nothing: the field is the token.
    Bare,
}

impl TokenField {
    /// The field of this name, which must be a valid one.
    #[must_use]
    pub fn new(name: String, scheme: Scheme) -> Self {
        let name = if name.eq_ignore_ascii_case(USUAL) { Cow::Borrowed(USUAL) } else { name.into() };
        Self { name, scheme, takes_dpop: false, takes_workload: false }
    }

    /// The same field, in which the scheme `DPoP` may stand too.
    #[must_use]
    pub fn with_dpop(self) -> Self {
        Self { takes_dpop: self.scheme == Scheme::Bearer, ..self }
    }

    /// The same field, beside which a workload identity token may stand in its own.
    #[must_use]
    pub fn with_workload(self) -> Self {
        Self { takes_workload: true, ..self }
    }

    /// Whether a workload identity token may stand in its own field instead.
    #[must_use]
    pub const fn takes_workload(&self) -> bool {
        self.takes_workload
    }

    /// Whether the scheme `DPoP` (RFC 9449 §7.1) may stand before the token too.
    #[must_use]
    pub const fn takes_dpop(&self) -> bool {
        self.takes_dpop
    }

    /// Its name as it is written.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is `Authorization`.
    #[must_use]
    pub fn is_authorization(&self) -> bool {
        matches!(self.name, Cow::Borrowed(_))
    }

    /// What stands before the token.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The field's value with this token.
    #[must_use]
    pub fn value(&self, token: &str) -> String {
        match self.scheme {
            Scheme::Bearer => ["Bearer ", token].concat(),
            Scheme::Bare => token.to_owned(),
        }
    }

    /// Whether a backend could take a field of this name for it, though it is another. Requests with a disguise of `Authorization`
    /// are malformed, so none is left to be noticed here.
    #[must_use]
    pub fn is_disguise(&self, name: &str) -> bool {
        !self.is_authorization() && !name.eq_ignore_ascii_case(&self.name) && letters(name).eq(letters(&self.name))
    }

    /// A text about the usual field, made to be about this one.
    #[must_use]
    pub fn named(&self, usual: &'static str) -> Cow<'static, str> {
        if self.is_authorization() && self.scheme == Scheme::Bearer {
            return Cow::Borrowed(usual);
        }
        let text = usual.replace(USUAL, &self.name);
        if self.scheme == Scheme::Bare { text.replace(": Bearer <", ": <") } else { text }.into()
    }
}

impl Default for TokenField {
    fn default() -> Self {
        Self { name: Cow::Borrowed(USUAL), scheme: Scheme::Bearer, takes_dpop: false, takes_workload: false }
    }
}

/// The field of RFC 6750 §2.1.
const USUAL: &str = "Authorization";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_spelling_of_the_field_is_a_disguise_of_it() {
        let other = TokenField::new("X-Service-Authorization".into(), Scheme::Bearer);
        for name in
            ["X_Service_Authorization", "x.service.authorization", "xserviceauthorization", "X-ServiceAuthorization-"]
        {
            assert!(other.is_disguise(name), "{name}");
        }
        for name in ["X-Service-Authorization", "x-service-AUTHORIZATION", "Authorization", "X-Service-Authorization-2"]
        {
            assert!(!other.is_disguise(name), "{name}");
        }
        assert!(!TokenField::default().is_disguise("Author-ization"), "which is refused before");
    }
}
