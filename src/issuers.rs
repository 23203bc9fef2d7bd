//! The trusted issuers by index. What exists once for each of them stands in a [`PerIssuer`], in the order of the configuration,
//! and only such a list makes an [`IssuerIndex`]: a number from anywhere else never picks an issuer.

use std::slice;

/// One value for each trusted issuer, in the order of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerIssuer<T>(Vec<T>);

/// Which of the trusted issuers. It holds for every list of the same configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IssuerIndex(usize);

impl<T> PerIssuer<T> {
    /// The value of an issuer; `None` if the index comes from another configuration.
    #[must_use]
    pub fn get(&self, index: IssuerIndex) -> Option<&T> {
        self.0.get(index.0)
    }

    /// The first issuer that fulfils a condition.
    pub fn find(&self, is_wanted: impl FnMut(&T) -> bool) -> Option<IssuerIndex> {
        self.0.iter().position(is_wanted).map(IssuerIndex)
    }

    /// Another value for each issuer, made from this one.
    #[must_use]
    pub fn map<U>(&self, make: impl FnMut(&T) -> U) -> PerIssuer<U> {
        PerIssuer(self.0.iter().map(make).collect())
    }

    /// Adds the value of the next issuer.
    pub fn push(&mut self, value: T) {
        self.0.push(value);
    }

    /// The values in the order of the configuration.
    pub fn iter(&self) -> slice::Iter<'_, T> {
        self.0.iter()
    }

    /// The value of an issuer, taken out.
    #[must_use]
    pub fn take(mut self, index: IssuerIndex) -> Option<T> {
        (index.0 < self.0.len()).then(|| self.0.swap_remove(index.0))
    }
}

impl<T> Default for PerIssuer<T> {
    /// The list of a configuration without issuers.
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> From<Vec<T>> for PerIssuer<T> {
    fn from(values: Vec<T>) -> Self {
        Self(values)
    }
}

impl<T> FromIterator<T> for PerIssuer<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl<T> IntoIterator for PerIssuer<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a PerIssuer<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
