//! Keeps the deny-list as its file says, while it runs. Content that cannot be read or is no list never replaces a list: a
//! mistake in the file must not let a leaked credential back in.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::AbortHandle;

use crate::file_watcher::{FileError, FileWatcher, INTERVAL};
use crate::metrics::revocation::RevocationMetrics;
use crate::revocation::list::{DenyList, DenyListError, DenyListSlot};

/// The task that keeps a deny-list. It ends when this is dropped.
pub struct DenyListWatcher(AbortHandle);

/// Why a file gave no list.
#[derive(Debug, thiserror::Error)]
enum DenyListFileError {
    #[error("it {0}")]
    Content(#[from] DenyListError),
    #[error(transparent)]
    File(#[from] FileError),
}

impl DenyListWatcher {
    /// Starts to keep the list of a file in its slot. It must be called within a tokio runtime.
    #[must_use]
    pub fn start(path: PathBuf, slot: Arc<DenyListSlot>, metrics: RevocationMetrics) -> Self {
        metrics.serving(slot.latest().len());
        let mut follower = Follower::new(path, slot, metrics);
        let task = async move {
            loop {
                follower.look().await;
                tokio::time::sleep(INTERVAL).await;
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

struct Follower {
    path: PathBuf,
    watcher: FileWatcher,
    slot: Arc<DenyListSlot>,
    metrics: RevocationMetrics,
    /// A list that would revoke less. It is taken if the next look finds it again.
    doubted: Option<DenyList>,
    /// Whether the last look failed: each failure is logged once.
    failing: bool,
}

impl Follower {
    fn new(path: PathBuf, slot: Arc<DenyListSlot>, metrics: RevocationMetrics) -> Self {
        let watcher = FileWatcher::new([path.clone()], FILE_MAX);
        Self { path, watcher, slot, metrics, doubted: None, failing: false }
    }

    /// Looks at the file once, and takes its list over if it changed and is one.
    async fn look(&mut self) {
        let Some(contents) = self.watcher.look().await else { return };
        match contents.first() {
            Some(Ok(text)) => match DenyList::parse(text) {
                // A file that is being written lacks lines for a moment, and no error shows it. What it adds counts at once.
                Ok(list) if !list.includes(&self.slot.latest()) && self.doubted.as_ref() != Some(&list) => {
                    let both = list.clone().and(&self.slot.latest());
                    self.doubted = Some(list);
                    return self.take(both);
                }
                Ok(list) => self.take(list),
                Err(error) => {
                    // Another content that is no list is another failure.
                    self.failing = false;
                    self.fail(&error.into());
                }
            },
            Some(Err(error)) => self.fail(&(*error).into()),
            None => {}
        }
        self.doubted = None;
        self.watcher.settle(contents);
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

    fn fail(&mut self, error: &DenyListFileError) {
        if !self.failing {
            let entries = self.slot.latest().len();
            let file = self.path.display();
            tracing::warn!(%file, %error, entries, "The deny-list cannot be used; the last good one stays.");
            self.metrics.failed();
        }
        self.failing = true;
    }
}

/// The largest file, in bytes: enough for as many entries as a list may have.
const FILE_MAX: u64 = 2 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;
    use crate::clock::UnixTime;
    use crate::revocation::list::Credential;

    fn follower(path: PathBuf) -> Follower {
        let metrics = RevocationMetrics::register(&Registry::new()).expect("new metrics");
        Follower::new(path, Arc::default(), metrics)
    }

    fn is_revoked(follower: &Follower, jti: &str) -> bool {
        let credential = Credential { issuer: "i", jti: Some(jti), kids: [None, None], sub: None };
        follower.slot.latest().revokes(&credential, UnixTime::from_secs(1)).is_some()
    }

    #[tokio::test]
    async fn a_changed_file_replaces_the_list() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("revoked.jsonl");
        std::fs::write(&path, r#"{"jti":"a"}"#).expect("a file");
        let mut follower = follower(path.clone());
        follower.look().await;
        assert!(is_revoked(&follower, "a") && !is_revoked(&follower, "b"));
        std::fs::write(&path, r#"{"jti":"b"}"#).expect("a file");
        follower.look().await;
        assert!(
            is_revoked(&follower, "a") && is_revoked(&follower, "b"),
            "what is new counts, and what is gone may come back"
        );
        // What says the same in another way is no other list.
        std::fs::write(&path, "# again\n{\"jti\":\"b\"}").expect("a file");
        follower.look().await;
        assert!(!is_revoked(&follower, "a") && is_revoked(&follower, "b"));
        std::fs::write(&path, "").expect("a file");
        follower.look().await;
        follower.look().await;
        assert!(!is_revoked(&follower, "b"), "an empty file is an empty list");
    }

    /// `cp` and some editors empty a file before they write it. For up to a second that let every leaked credential back in.
    #[tokio::test]
    async fn a_file_that_is_being_written_revokes_no_less() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("revoked.jsonl");
        let mut follower = follower(path.clone());
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
            follower.look().await;
            assert!(is_revoked(&follower, "a") && is_revoked(&follower, "b"), "{text:?}");
        }
        std::fs::write(&path, "{\"jti\":\"a\"}\n").expect("a file");
        follower.look().await;
        assert!(is_revoked(&follower, "b"), "it may not be whole");
        follower.look().await;
        assert!(is_revoked(&follower, "a") && !is_revoked(&follower, "b"), "it stayed so");
    }

    #[tokio::test]
    async fn a_file_that_is_no_list_changes_nothing() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("revoked.jsonl");
        std::fs::write(&path, r#"{"jti":"a"}"#).expect("a file");
        let mut follower = follower(path.clone());
        follower.look().await;
        for bad in [&b"{\"jti\":\"b\"}\n{\"jti\":"[..], b"\xff", b"[]", &vec![b' '; 3 << 20]] {
            std::fs::write(&path, bad).expect("a file");
            follower.look().await;
            assert!(is_revoked(&follower, "a") && !is_revoked(&follower, "b") && follower.failing);
        }
        std::fs::remove_file(&path).expect("a file");
        follower.look().await;
        assert!(is_revoked(&follower, "a"), "a file that is gone revokes nothing less");
        std::fs::create_dir(&path).expect("a directory");
        follower.look().await;
        assert!(is_revoked(&follower, "a"));
        std::fs::remove_dir(&path).expect("a directory");
        std::fs::write(&path, r#"{"jti":"b"}"#).expect("a file");
        follower.look().await;
        follower.look().await;
        assert!(!is_revoked(&follower, "a") && is_revoked(&follower, "b") && !follower.failing);
    }
}
