//! Noticing that a file has changed. It is read again and again rather than watched by the kernel's notifications: it is small,
//! and reading it notices every kind of change alike (a write in place, a rename over it, the symlink swap by which Kubernetes
//! updates a volume), on every kind of file system.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// A watched file.
pub struct FileWatcher {
    path: PathBuf,
    /// What was reported last, or was there at the beginning.
    known: Option<Vec<u8>>,
}

impl FileWatcher {
    /// Watches from the content on that the file has now.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), known: std::fs::read(path).ok() }
    }

    /// Returns once the file has another content and keeps it for a moment, so that one that is being written is not taken
    /// for whole. A file that is gone for good is a change too.
    pub async fn changed(&mut self) {
        let mut before = self.known.clone();
        loop {
            tokio::time::sleep(LOOK).await;
            let now = read(&self.path).await;
            if now != self.known && now == before {
                self.known = now;
                return;
            }
            before = now;
        }
    }
}

/// Reads on a thread where waiting for a disk delays nobody.
async fn read(path: &Path) -> Option<Vec<u8>> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || std::fs::read(path).ok()).await.ok().flatten()
}

/// How often it is looked; a change is noticed after two looks.
const LOOK: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_change_is_noticed_once_however_it_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("a"), "one").unwrap();
        std::fs::write(at("b"), "two").unwrap();
        let path = at("sidecar.toml");
        std::os::unix::fs::symlink(at("a"), &path).unwrap();
        let mut watch = FileWatcher::new(&path);
        assert!(tokio::time::timeout(LOOK * 10, watch.changed()).await.is_err(), "nothing has changed");
        // As Kubernetes does it: another link is renamed over the old one.
        std::os::unix::fs::symlink(at("b"), at("next")).unwrap();
        std::fs::rename(at("next"), &path).unwrap();
        watch.changed().await;
        std::fs::write(at("b"), "three").unwrap();
        watch.changed().await;
        std::fs::remove_file(&path).unwrap();
        watch.changed().await;
        assert!(tokio::time::timeout(LOOK * 10, watch.changed()).await.is_err(), "each change is told once");
    }
}
