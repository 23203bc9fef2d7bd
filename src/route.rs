//! Which requests need no token. Everything is protected unless its method is listed for its path, or for whole segments that the
//! path begins with, and only a path that every backend reads in the same way can match: what needs interpretation is protected.

use std::fmt;

use crate::request::RequestHead;

/// The exceptions: paths with their methods.
#[derive(Clone, Debug, Default)]
pub struct PublicRoutes(Vec<PublicRoute>);

/// One exception.
#[derive(Clone, Debug)]
pub struct PublicRoute {
    path: Paths,
    methods: Vec<String>,
}

/// Which paths one exception is about.
#[derive(Clone, Debug)]
enum Paths {
    /// Whatever comes after this, which ends with a slash; something does.
    Below(String),
    Exactly(String),
}

/// Why a path cannot be public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum PathError {
    #[error("it must begin with '/'")]
    NotAbsolute,
    #[error("it must be canonical: only letters, digits and -._~!$&'()+=:@/ without empty, '.' or '..' segments")]
    NotCanonical,
    #[error(
        "'*' stands for everything below a path, as in '/public/*', and nowhere else; name what is public below '/'"
    )]
    Pattern,
}

impl PublicRoute {
    /// Lets these methods of this path through without a token. `/*` at its end means everything below the segments before.
    ///
    /// # Errors
    /// If the path could be read in more than one way.
    pub fn new(path: String, methods: Vec<String>) -> Result<Self, PathError> {
        let (stem, paths) = match path.strip_suffix('*').filter(|stem| stem.ends_with('/')) {
            Some("/") => return Err(PathError::Pattern),
            Some(stem) => (stem, Paths::Below(stem.to_owned())),
            None => (path.as_str(), Paths::Exactly(path.clone())),
        };
        if !stem.starts_with('/') {
            return Err(PathError::NotAbsolute);
        }
        if stem.contains('*') {
            return Err(PathError::Pattern);
        }
        if !is_canonical(stem) {
            return Err(PathError::NotCanonical);
        }
        Ok(Self { path: paths, methods })
    }

    fn is_about(&self, path: &str) -> bool {
        match &self.path {
            Paths::Below(stem) => {
                path.strip_prefix(stem.as_str()).is_some_and(|rest| !rest.is_empty() && is_canonical(path))
            }
            // A listed path is canonical, so no other spelling of it is equal.
            Paths::Exactly(listed) => listed == path,
        }
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
        self.0.iter().any(|route| route.is_about(path) && route.methods.iter().any(|method| method == head.method))
    }
}

impl fmt::Display for PublicRoute {
    /// `GET, HEAD /healthz`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let methods = self.methods.join(", ");
        match &self.path {
            Paths::Below(folder) => write!(f, "{methods} {folder}*"),
            Paths::Exactly(path) => write!(f, "{methods} {path}"),
        }
    }
}

/// Whether a path means the same to everybody: no escapes, no parameters, no segments that are resolved away.
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
    use crate::request::SingletonField;

    fn routes() -> PublicRoutes {
        PublicRoutes::new(vec![PublicRoute::new("/healthz".into(), vec!["GET".into()]).expect("canonical")])
    }

    fn is_public(method: &str, path: Option<&str>) -> bool {
        routes().contains(&RequestHead {
            method,
            path,
            authorization: SingletonField::Absent,
            proof: SingletonField::Absent,
            certificate: None,
            fields: None,
        })
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
        assert_eq!(PublicRoute::new("a".into(), vec![]).err(), Some(PathError::NotAbsolute));
    }

    #[test]
    fn everything_below_a_prefix_of_whole_segments_is_public_and_nothing_beside_it() {
        let route = PublicRoute::new("/public/*".into(), vec!["GET".into()]).expect("a prefix");
        let routes = PublicRoutes::new(vec![route]);
        let is_public = |path| {
            routes.contains(&RequestHead {
                method: "GET",
                path: Some(path),
                authorization: SingletonField::Absent,
                proof: SingletonField::Absent,
                certificate: None,
                fields: None,
            })
        };
        for path in ["/public/a", "/public/a/b", "/public/a/", "/public/*", "/public/.a", "/public/a.."] {
            assert!(is_public(path), "{path}");
        }
        for path in [
            "/public",
            "/public/",
            "/publicity/a",
            "/Public/a",
            "//public/a",
            "/x/public/a",
            "/public//a",
            "/public/../send",
            "/public/./a",
            "/public/a/..",
            "/public/..;/send",
            "/public/a;b",
            "/public/%2e%2e/send",
            "/public/..%2fsend",
            "/public/..\\send",
            "/public/a%00",
            "/public/\u{e9}",
            "/public/a#b",
        ] {
            assert!(!is_public(path), "{path}");
        }
        for pattern in ["/*", "/a*", "/*/a", "/a/*/b", "/a/**", "*", "/a/../*", "a/*"] {
            assert!(PublicRoute::new(pattern.into(), vec![]).is_err(), "{pattern}");
        }
    }
}
