//! A key document in a local file, and the other files that a fetch reads.

use std::path::{Path, PathBuf};

use super::error::{BODY_MAX, FetchError};
use super::fetch::{Cause, Fetch, Fetched, Fetching, Validators};
use crate::file_watcher::{self, Content, FileWatcher};

/// A key file.
pub(super) struct KeyFile {
    watcher: FileWatcher,
    /// What the latest fetch returned, until it is known whether it is a key set.
    fetched: Option<Vec<Content>>,
}

impl KeyFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { watcher: FileWatcher::new([path], BODY_MAX as u64), fetched: None }
    }
}

impl Fetch for KeyFile {
    fn fetch<'f>(&'f mut self, _: Cause, _: Option<&'f Validators>) -> Fetching<'f> {
        Box::pin(async {
            self.fetched = self.watcher.look().await;
            match self.fetched.as_ref().and_then(|contents| contents.first()) {
                None => Ok(Fetched::NotModified { fresh_for: None }),
                Some(Ok(document)) => {
                    Ok(Fetched::Document { document: document.clone(), validators: None, fresh_for: None })
                }
                Some(Err(why)) => Err(FetchError::File { what: "the key file", why: *why }),
            }
        })
    }

    fn accepted(&mut self) {
        if let Some(contents) = self.fetched.take() {
            self.watcher.settle(contents);
        }
    }
}

/// Reads a file that belongs to a fetch.
pub(super) async fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, FetchError> {
    file_watcher::read(path, BODY_MAX as u64).await.map_err(|why| FetchError::File { what, why })
}
