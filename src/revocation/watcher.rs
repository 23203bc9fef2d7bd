//! Keeps the deny-list as its file says. The file is read again and again rather than watched by the kernel's notifications:
//! that notices every kind of change on every kind of file system. What cannot be read or is no list never replaces a list:
//! a slip of the hand must not let a leaked credential back in.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::metrics::revocation::RevocationMetrics;
use crate::revocation::list::{DenyList, DenyListError, DenyListSlot};

/// The task that keeps a deny-list. It ends when this is dropped.
pub struct DenyListWatcher(AbortHandle);

/// Why a file gave no list.
#[derive(Debug, thiserror::Error)]
pub enum DenyListFileError {
    #[error("it {0}")]
    Content(#[from] DenyListError),
    #[error("it is not a file")]
    NotAFile,
    #[error("it is larger than {FILE_MAX} bytes")]
    TooLarge,
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

impl DenyListWatcher {
    /// Starts to keep the list of a file in its slot. It must be called within a tokio runtime.
    #[must_use]
    pub fn start(path: PathBuf, slot: Arc<DenyListSlot>, metrics: RevocationMetrics) -> Self {
        metrics.serving(slot.latest().len());
        let mut keeper = Keeper { path, slot, metrics, seen: None, doubted: None, failing: false };
        let task = async move {
            loop {
                keeper.look().await;
                tokio::time::sleep(POLL).await;
            }
        };
        Self(tokio::spawn(task).abort_handle())
    }
}

impl Drop for DenyListWatcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Keeper {
    path: PathBuf,
    slot: Arc<DenyListSlot>,
    metrics: RevocationMetrics,
    /// The content that was looked at last.
    seen: Option<Vec<u8>>,
    /// A list that would revoke less, and is looked at once more first.
    doubted: Option<DenyList>,
    /// Whether the last look failed: each failure is told once.
    failing: bool,
}

impl Keeper {
    /// Looks at the file once, and takes its list over if it changed and is one.
    async fn look(&mut self) {
        let path = self.path.clone();
        // On a thread where waiting for a disk delays nobody.
        let reading = tokio::task::spawn_blocking(move || content(&path)).await;
        let content = match reading.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::Interrupted).into())) {
            Ok(content) if self.seen.as_ref() == Some(&content) => return,
            Ok(content) => content,
            Err(fault) => {
                (self.seen, self.doubted) = (None, None);
                return self.fail(&fault);
            }
        };
        match DenyList::parse(&content) {
            // A file that is being written lacks lines for a moment, and no fault shows it. What it adds counts at once.
            Ok(list) if !list.includes(&self.slot.latest()) && self.doubted.as_ref() != Some(&list) => {
                let both = list.clone().and(&self.slot.latest());
                self.doubted = Some(list);
                return self.take(both);
            }
            Ok(list) => self.take(list),
            Err(fault) => {
                self.failing = false;
                self.fail(&fault.into());
            }
        }
        self.doubted = None;
        self.seen = Some(content);
    }

    fn take(&mut self, list: DenyList) {
        let entries = list.len();
        if self.failing || **self.slot.latest() != list {
            tracing::info!(file = %self.path.display(), entries, "The deny-list was read.");
            self.metrics.changed();
        }
        self.failing = false;
        self.metrics.serving(entries);
        self.slot.publish(list);
    }

    fn fail(&mut self, fault: &DenyListFileError) {
        if !self.failing {
            let entries = self.slot.latest().len();
            let file = self.path.display();
            tracing::warn!(%file, error = %fault, entries, "The deny-list cannot be used; the last good one stays.");
            self.metrics.failed();
        }
        self.failing = true;
    }
}

/// The list of a file.
///
/// # Errors
/// If the file cannot be read or is no list.
pub fn read(path: &Path) -> Result<DenyList, DenyListFileError> {
    Ok(DenyList::parse(&content(path)?)?)
}

fn content(path: &Path) -> Result<Vec<u8>, DenyListFileError> {
    // Opening a pipe would wait for its writer, so the kind is looked at before.
    if !std::fs::metadata(path)?.is_file() {
        return Err(DenyListFileError::NotAFile);
    }
    let mut content = Vec::new();
    File::open(path)?.take(FILE_MAX + 1).read_to_end(&mut content)?;
    if content.len() as u64 > FILE_MAX { Err(DenyListFileError::TooLarge) } else { Ok(content) }
}

/// How often the file is looked at.
const POLL: Duration = Duration::from_secs(1);

/// The largest file, in bytes: enough for as many entries as a list may have.
const FILE_MAX: u64 = 2 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;
    use crate::clock::UnixTime;
    use crate::revocation::list::Credential;

    fn keeper(path: PathBuf) -> Keeper {
        let metrics = RevocationMetrics::register(&Registry::new()).expect("new metrics");
        Keeper { path, slot: Arc::default(), metrics, seen: None, doubted: None, failing: false }
    }

    fn is_revoked(keeper: &Keeper, jti: &str) -> bool {
        let credential = Credential { issuer: "i", jti: Some(jti), kids: [None, None], sub: None };
        keeper.slot.latest().revokes(&credential, UnixTime::from_secs(1)).is_some()
    }

    #[tokio::test]
    async fn a_changed_file_replaces_the_list() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("revoked.jsonl");
        std::fs::write(&path, r#"{"jti":"a"}"#).expect("a file");
        let mut keeper = keeper(path.clone());
        keeper.look().await;
        assert!(is_revoked(&keeper, "a") && !is_revoked(&keeper, "b"));
        std::fs::write(&path, r#"{"jti":"b"}"#).expect("a file");
        keeper.look().await;
        assert!(
            is_revoked(&keeper, "a") && is_revoked(&keeper, "b"),
            "what is new counts, and what is gone may come back"
        );
        // What says the same in another way is no other list.
        std::fs::write(&path, "# again\n{\"jti\":\"b\"}").expect("a file");
        keeper.look().await;
        assert!(!is_revoked(&keeper, "a") && is_revoked(&keeper, "b"));
        std::fs::write(&path, "").expect("a file");
        keeper.look().await;
        keeper.look().await;
        assert!(!is_revoked(&keeper, "b"), "an empty file is an empty list");
    }

    /// `cp` and some editors empty a file before they write it. For up to a second that let every leaked credential back in.
    #[tokio::test]
    async fn a_file_that_is_being_written_revokes_no_less() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("revoked.jsonl");
        let mut keeper = keeper(path.clone());
        for text in [
            "{\"jti\":\"a\"}\n{\"jti\":\"b\"}\n",
            "",
            "{\"jti\":\"a\"}\n",
            // As long as the old one, and without its end.
            "{\"jti\":\"c\"}\n{\"jti\":\"a\"}\n",
            "",
            "{\"jti\":\"c\"}\n{\"jti\":\"a\"}\n{\"jti\":\"b\"}\n",
        ] {
            std::fs::write(&path, text).expect("a file");
            keeper.look().await;
            assert!(is_revoked(&keeper, "a") && is_revoked(&keeper, "b"), "{text:?}");
        }
        std::fs::write(&path, "{\"jti\":\"a\"}\n").expect("a file");
        keeper.look().await;
        assert!(is_revoked(&keeper, "b"), "it may not be whole");
        keeper.look().await;
        assert!(is_revoked(&keeper, "a") && !is_revoked(&keeper, "b"), "it stayed so");
    }

    #[tokio::test]
    async fn a_file_that_is_no_list_changes_nothing() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("revoked.jsonl");
        std::fs::write(&path, r#"{"jti":"a"}"#).expect("a file");
        let mut keeper = keeper(path.clone());
        keeper.look().await;
        for bad in [&b"{\"jti\":\"b\"}\n{\"jti\":"[..], b"\xff", b"[]", &vec![b' '; 3 << 20]] {
            std::fs::write(&path, bad).expect("a file");
            keeper.look().await;
            assert!(is_revoked(&keeper, "a") && !is_revoked(&keeper, "b") && keeper.failing);
        }
        std::fs::remove_file(&path).expect("a file");
        keeper.look().await;
        assert!(is_revoked(&keeper, "a"), "a file that is gone revokes nothing less");
        std::fs::create_dir(&path).expect("a directory");
        keeper.look().await;
        assert!(is_revoked(&keeper, "a"));
        std::fs::remove_dir(&path).expect("a directory");
        std::fs::write(&path, r#"{"jti":"b"}"#).expect("a file");
        keeper.look().await;
        keeper.look().await;
        assert!(!is_revoked(&keeper, "a") && is_revoked(&keeper, "b") && !keeper.failing);
    }
}
