//! What a refusal leads to: an answer, or only a report while the protection is being introduced. A request that is only
//! reported reaches the upstream without a caller's name, so nothing here ever makes a caller out of an unproven token.

use std::fmt;

use crate::issuers::{IssuerIndex, PerIssuer};
use crate::request::RequestHead;
use crate::route::PublicRoutes;

/// What is done with a request whose token does not pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is refused.
    #[default]
    Enforce,
    /// It goes to the upstream without a caller's name, and is counted and recorded as one that would be refused.
    Report,
}

/// Which mode holds for which request.
#[derive(Clone, Debug, Default)]
pub struct Modes {
    general: Mode,
    /// By name; `None` has no mode of its own.
    issuers: PerIssuer<(String, Option<Mode>)>,
    /// These are only reported, whatever the others say.
    routes: PublicRoutes,
}

/// A part of the traffic that is only reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportScope {
    /// `all`, `issuer` or `path`.
    pub kind: &'static str,
    /// The issuer's name, or the methods and the path.
    pub name: String,
}

impl Modes {
    /// `general` for everything, but for the issuers that have a mode of their own, and for `routes`, which are only
    /// reported.
    #[must_use]
    pub const fn new(general: Mode, issuers: PerIssuer<(String, Option<Mode>)>, routes: PublicRoutes) -> Self {
        Self { general, issuers, routes }
    }

    /// The mode for a refused request. `issuer` is the trusted issuer that its token names, proven or not: a request whose
    /// token names an issuer in report mode is never refused, whatever else is wrong with it.
    #[must_use]
    pub fn of(&self, head: &RequestHead<'_>, issuer: Option<IssuerIndex>) -> Mode {
        if self.routes.contains(head) {
            return Mode::Report;
        }
        let own = issuer.and_then(|index| self.issuers.get(index)).and_then(|(_, mode)| *mode);
        own.unwrap_or(self.general)
    }

    /// Everything that is only reported; nothing if all is enforced.
    #[must_use]
    pub fn reported(&self) -> Vec<ReportScope> {
        let all = (self.general == Mode::Report).then(|| ReportScope { kind: "all", name: String::new() });
        let is_reported = |(_, mode): &&(String, Option<Mode>)| *mode == Some(Mode::Report);
        let issuers =
            self.issuers.iter().filter(is_reported).map(|(name, _)| ReportScope { kind: "issuer", name: name.clone() });
        let paths = self.routes.iter().map(|route| ReportScope { kind: "path", name: route.to_string() });
        all.into_iter().chain(issuers).chain(paths).collect()
    }
}

impl fmt::Display for ReportScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            "all" => f.write_str("all requests"),
            "issuer" => write!(f, "tokens that name {}", self.name),
            _ => f.write_str(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::SingletonField;
    use crate::route::PublicRoute;

    fn modes(general: Mode, first: Option<Mode>) -> Modes {
        let route = PublicRoute::new("/old".into(), vec!["POST".into()]).expect("canonical");
        Modes::new(general, vec![("a".into(), first), ("b".into(), None)].into(), PublicRoutes::new(vec![route]))
    }

    fn named(modes: &Modes, name: &str) -> Option<IssuerIndex> {
        modes.issuers.find(|(issuer, _)| issuer == name)
    }

    fn head<'a>(method: &'a str, path: &'a str) -> RequestHead<'a> {
        RequestHead {
            method,
            path: Some(path),
            authorization: SingletonField::Absent,
            proof: SingletonField::Absent,
            certificate: None,
            fields: None,
        }
    }

    #[test]
    fn a_listed_path_is_reported_and_every_other_spelling_of_it_is_enforced() {
        let modes = modes(Mode::Enforce, None);
        assert_eq!(modes.of(&head("POST", "/old"), named(&modes, "a")), Mode::Report);
        for (method, path) in [("GET", "/old"), ("POST", "/old/"), ("POST", "//old"), ("POST", "/%6fld"), ("POST", "/")]
        {
            assert_eq!(modes.of(&head(method, path), named(&modes, "a")), Mode::Enforce, "{method} {path}");
        }
    }

    #[test]
    fn an_issuers_own_mode_goes_before_the_general_one_and_no_issuer_has_none() {
        let lenient = modes(Mode::Enforce, Some(Mode::Report));
        let strict = modes(Mode::Report, Some(Mode::Enforce));
        for (name, one, other) in [
            ("a", Mode::Report, Mode::Enforce),
            ("b", Mode::Enforce, Mode::Report),
            ("nobody", Mode::Enforce, Mode::Report),
        ] {
            assert_eq!(lenient.of(&head("GET", "/"), named(&lenient, name)), one, "{name}");
            assert_eq!(strict.of(&head("GET", "/"), named(&strict, name)), other, "{name}");
        }
    }

    #[test]
    fn what_is_reported_is_told_and_nothing_if_all_is_enforced() {
        let kinds = |modes: &Modes| modes.reported().iter().map(|scope| scope.kind).collect::<Vec<_>>();
        assert_eq!(kinds(&modes(Mode::Report, Some(Mode::Report))), ["all", "issuer", "path"]);
        assert!(Modes::default().reported().is_empty());
    }
}
