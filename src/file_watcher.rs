//! Noticing that files changed: the configuration, key files, the deny-list, certificates. Files are read again at an interval
//! and compared by content. Kernel notifications are not used: they miss changes on some file systems and differ between a write
//! in place, a rename and the symlink swap by which Kubernetes updates a volume. These files are small, so reading is cheap.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;

/// Files that are watched together, because they are used together.
#[derive(Debug)]
pub struct FileWatcher {
    paths: Vec<PathBuf>,
    /// The largest content of one file, in bytes.
    size_max: u64,
    settled: Option<Vec<Content>>,
}

/// What a file held when it was read.
pub type Content = Result<Vec<u8>, FileError>;

/// Why a file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum FileError {
    #[error("its content is not what it should be")]
    Content,
    #[error("it does not exist")]
    Missing,
    #[error("it is not a regular file")]
    NotAFile,
    #[error("permission is denied")]
    Permission,
    #[error("it is too large")]
    TooLarge,
    #[error("it cannot be read")]
    Unreadable,
}

impl FileWatcher {
    /// A watcher to which any content is new.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>, size_max: u64) -> Self {
        Self { paths: paths.into_iter().collect(), size_max, settled: None }
    }

    /// A watcher to which the present content is known. It reads the files at once, on this thread.
    pub fn from_now(paths: impl IntoIterator<Item = PathBuf>, size_max: u64) -> Self {
        let mut watcher = Self::new(paths, size_max);
        watcher.settled = Some(watcher.paths.iter().map(|path| read_blocking(path, size_max)).collect());
        watcher
    }

    /// Reads the files. Returns their contents, in the order of the paths, unless they are the [settled](Self::settle) ones.
    pub async fn look(&self) -> Option<Vec<Content>> {
        let now = self.read().await;
        (self.settled.as_ref() != Some(&now)).then_some(now)
    }

    /// Takes these contents as dealt with: [`Self::look`] returns only others.
    pub fn settle(&mut self, contents: Vec<Content>) {
        self.settled = Some(contents);
    }

    /// Waits until the contents are others than the settled ones and two looks in a row find the same, so that files that are
    /// being written are not taken for whole. Settles and returns them. A file that is gone is a change too.
    pub async fn changed(&mut self) -> Vec<Content> {
        let mut before = None;
        loop {
            sleep(INTERVAL / 2).await;
            let now = self.look().await;
            match now {
                Some(contents) if before.as_ref() == Some(&contents) => {
                    self.settle(contents.clone());
                    return contents;
                }
                other => before = other,
            }
        }
    }

    async fn read(&self) -> Vec<Content> {
        let mut contents = Vec::with_capacity(self.paths.len());
        for path in &self.paths {
            contents.push(read(path, self.size_max).await);
        }
        contents
    }
}

/// Reads a whole file, on a thread where waiting for a disk delays nobody.
///
/// # Errors
/// If it is not a readable regular file of at most `size_max` bytes.
pub async fn read(path: &Path, size_max: u64) -> Content {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || read_blocking(&path, size_max)).await.unwrap_or(Err(FileError::Unreadable))
}

fn read_blocking(path: &Path, size_max: u64) -> Content {
    // Opening a named pipe would wait for its writer, so its kind is checked first.
    if !std::fs::metadata(path)?.is_file() {
        return Err(FileError::NotAFile);
    }
    let mut content = Vec::new();
    File::open(path)?.take(size_max + 1).read_to_end(&mut content)?;
    if content.len() as u64 > size_max { Err(FileError::TooLarge) } else { Ok(content) }
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::PermissionDenied => Self::Permission,
            io::ErrorKind::IsADirectory => Self::NotAFile,
            _ => Self::Unreadable,
        }
    }
}

/// How often files are looked at.
pub const INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_change_is_noticed_once_however_it_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("a"), "one").unwrap();
        std::fs::write(at("b"), "two").unwrap();
        let path = at("sidecar.toml");
        std::os::unix::fs::symlink(at("a"), &path).unwrap();
        let mut watcher = FileWatcher::from_now([path.clone()], 100);
        assert!(timeout(INTERVAL * 10, watcher.changed()).await.is_err(), "nothing has changed");
        // As Kubernetes does it: another link is renamed over the old one.
        std::os::unix::fs::symlink(at("b"), at("next")).unwrap();
        std::fs::rename(at("next"), &path).unwrap();
        assert_eq!(watcher.changed().await, [Ok(b"two".to_vec())]);
        std::fs::write(at("b"), "2.0").unwrap();
        assert_eq!(watcher.changed().await, [Ok(b"2.0".to_vec())], "also when size and name stay the same");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(watcher.changed().await, [Err(FileError::Missing)]);
        assert!(timeout(INTERVAL * 10, watcher.changed()).await.is_err(), "each change is told once");
    }

    #[tokio::test(start_paused = true)]
    async fn files_that_are_still_being_written_are_no_change() {
        let directory = tempfile::tempdir().unwrap();
        let paths = ["cert", "key"].map(|name| directory.path().join(name));
        for path in &paths {
            std::fs::write(path, "old").unwrap();
        }
        let mut watcher = FileWatcher::from_now(paths.clone(), 100);
        for n in 0..20 {
            std::fs::write(&paths[n % 2], format!("{n}")).unwrap();
            assert!(timeout(INTERVAL * 3 / 4, watcher.changed()).await.is_err());
        }
        assert_eq!(watcher.changed().await, [Ok(b"18".to_vec()), Ok(b"19".to_vec())]);
    }

    #[tokio::test]
    async fn a_look_tells_only_what_is_not_settled() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut watcher = FileWatcher::new([path.clone()], 100);
        assert_eq!(watcher.look().await, Some(vec![Err(FileError::Missing)]));
        std::fs::write(&path, "x").unwrap();
        let contents = watcher.look().await.unwrap();
        assert_eq!(watcher.look().await.as_ref(), Some(&contents), "until it is settled");
        watcher.settle(contents);
        assert_eq!(watcher.look().await, None);
    }

    #[tokio::test]
    async fn what_is_no_regular_file_of_bounded_size_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, vec![b' '; 100]).unwrap();
        assert_eq!(read(&path, 100).await.map(|content| content.len()), Ok(100));
        std::fs::write(&path, vec![b' '; 101]).unwrap();
        assert_eq!(read(&path, 100).await, Err(FileError::TooLarge));
        assert_eq!(read(directory.path(), 100).await, Err(FileError::NotAFile));
        assert_eq!(read(Path::new("/dev/zero"), 100).await, Err(FileError::NotAFile));
    }
}
