//! Where the files stand that a configuration names.

use std::path::{Path, PathBuf};

/// The places from which the paths in a configuration are read.
#[derive(Clone, Debug)]
pub(super) struct Base {
    /// Where relative paths start.
    directory: PathBuf,
    /// Where absolute paths start, if not at the root of the file system.
    root: Option<PathBuf>,
}

impl Base {
    /// Relative paths start at `directory`, and absolute ones at `root` if there is one.
    pub(super) fn new(directory: &Path, root: Option<&Path>) -> Self {
        Self { directory: directory.to_owned(), root: root.map(Path::to_owned) }
    }

    /// The file that is meant by a path as it is written.
    pub(super) fn join(&self, written: &str) -> PathBuf {
        match (&self.root, written.strip_prefix('/')) {
            (Some(root), Some(below)) => root.join(below.trim_start_matches('/')),
            _ => self.directory.join(written),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_start_at_the_root_and_relative_ones_at_the_directory() {
        let base = Base::new(Path::new("conf"), Some(Path::new("pod")));
        assert_eq!(base.join("tls/tls.crt"), Path::new("conf/tls/tls.crt"));
        assert_eq!(base.join("/etc/tls.crt"), Path::new("pod/etc/tls.crt"));
        assert_eq!(base.join("//etc/tls.crt"), Path::new("pod/etc/tls.crt"), "none leads out of the root");
        let base = Base::new(Path::new("conf"), None);
        assert_eq!(base.join("/etc/tls.crt"), Path::new("/etc/tls.crt"));
    }
}
