//! Which requests need no token. Everything is protected unless its method and exact path are listed, and only a path that
//! every backend reads in the same way can match: what needs interpretation is protected.

use std::fmt;

use crate::request::RequestHead;

/// The exceptions: exact paths with their methods.
#[derive(Clone, Debug, Default)]
pub struct PublicRoutes(Vec<PublicRoute>);

/// One exception.
#[derive(Clone, Debug)]
pub struct PublicRoute {
    path: String,
    methods: Vec<String>,
}

/// Why a path cannot be public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    #[error("it must begin with '/'")]
    NotAbsolute,
    #[error("it must be canonical: only letters, digits and -._~!$&'()*+=:@/ without empty, '.' or '..' segments")]
    NotCanonical,
}

impl PublicRoute {
    /// Lets these methods of this path through without a token.
    ///
    /// # Errors
    /// If the path could be read in more than one way.
    pub fn new(path: String, methods: Vec<String>) -> Result<Self, PathFault> {
        if !path.starts_with('/') {
            return Err(PathFault::NotAbsolute);
        }
        if !is_canonical(&path) {
            return Err(PathFault::NotCanonical);
        }
        Ok(Self { path, methods })
    }
}

impl PublicRoutes {
    /// These routes and no others.
    #[must_use]
    pub const fn new(routes: Vec<PublicRoute>) -> Self {
        Self(routes)
    }

    /// The routes, as they were given.
    pub fn iter(&self) -> impl Iterator<Item = &PublicRoute> {
        self.0.iter()
    }

    /// Whether a request needs no token.
    #[must_use]
    pub fn contains(&self, head: &RequestHead<'_>) -> bool {
        let Some(path) = head.path else { return false };
        self.0.iter().any(|route| route.path == path && route.methods.iter().any(|method| method == head.method))
    }
}

impl fmt::Display for PublicRoute {
    /// `GET, HEAD /healthz`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.methods.join(", "), self.path)
    }
}

/// Whether a path means the same to everybody: no escapes, no parameters, no segments that are resolved away. A listed path
/// is canonical, and a request's path must equal it, so no other spelling of it is ever public.
fn is_canonical(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+=:@/".contains(&byte);
    let mut segments = path.split('/').skip(1).peekable();
    let mut sound = path.bytes().all(plain);
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        sound &= !matches!(segment, "." | "..") && (last || !segment.is_empty());
    }
    sound
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Authorization;

    fn routes() -> PublicRoutes {
        PublicRoutes::new(vec![PublicRoute::new("/healthz".into(), vec!["GET".into()]).expect("canonical")])
    }

    fn is_public(method: &str, path: Option<&str>) -> bool {
        routes().contains(&RequestHead { method, path, authorization: Authorization::Absent })
    }

    #[test]
    fn only_the_listed_method_of_the_exact_path_is_public() {
        assert!(is_public("GET", Some("/healthz")));
        for (method, path) in [
            ("POST", "/healthz"),
            ("get", "/healthz"),
            ("OPTIONS", "/healthz"),
            ("HEAD", "/healthz"),
            ("GET", "/healthz/"),
            ("GET", "//healthz"),
            ("GET", "/Healthz"),
            ("GET", "/%68ealthz"),
            ("GET", "/healthz;a"),
            ("GET", "/send/../healthz"),
            ("GET", "/healthz#x"),
            ("GET", "/"),
            ("GET", ""),
        ] {
            assert!(!is_public(method, Some(path)), "{method} {path}");
        }
        assert!(!is_public("GET", None));
    }

    #[test]
    fn a_path_that_needs_interpretation_cannot_be_listed() {
        for path in ["/", "/healthz", "/a/b", "/a/", "/.well-known/x", "/a:b@c"] {
            assert!(PublicRoute::new(path.into(), vec![]).is_ok(), "{path}");
        }
        for path in
            ["/a/../b", "/./a", "/a//b", "//a", "/a/..", "/a;b", "/a%2fb", "/a\\b", "/a?b", "/a#b", "/a b", "/\u{e9}"]
        {
            assert!(PublicRoute::new(path.into(), vec![]).is_err(), "{path}");
        }
        assert_eq!(PublicRoute::new("a".into(), vec![]).err(), Some(PathFault::NotAbsolute));
    }
}
