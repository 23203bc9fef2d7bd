//! The way to a key of the configuration, written as people say it: `issuers[0].keys.url`.

use std::fmt;

/// The way from the document's root to one key or list element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyPath(Vec<Segment>);

/// One step of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Index(usize),
    Key(String),
}

impl KeyPath {
    /// The document itself.
    #[must_use]
    pub(super) const fn root() -> Self {
        Self(Vec::new())
    }

    /// A key of the table at this path.
    #[must_use]
    pub(super) fn key(&self, name: &str) -> Self {
        self.step(Segment::Key(name.to_owned()))
    }

    /// An element of the list at this path, from 0.
    #[must_use]
    pub(super) fn index(&self, index: usize) -> Self {
        self.step(Segment::Index(index))
    }

    /// The steps from the root.
    #[must_use]
    pub(super) fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether one of the two leads through the other.
    #[must_use]
    pub(super) fn is_related(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0) || other.0.starts_with(&self.0)
    }

    fn step(&self, step: Segment) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) => {
                    let dot = if position == 0 { "" } else { "." };
                    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
                    if !key.is_empty() && key.chars().all(bare) {
                        write!(f, "{dot}{key}")?;
                    } else {
                        write!(f, "{dot}{key:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}
