//! Reading the files that a refresh needs: a key file, certificates. A key file is read again and again rather than watched by
//! the kernel's notifications: it is small, and reading it notices every kind of change alike (a write in place, a rename
//! over it, the symlink swap by which Kubernetes updates a volume), on every kind of file system.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{BODY_MAX, FetchError, FileError};
use super::fetch::{Cause, Fetch, Fetched, Known};

/// A key file.
pub(super) struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

impl Fetch for KeyFile {
    async fn fetch(&mut self, _: Cause, known: Option<Known<'_>>) -> Result<Fetched, FetchError> {
        let document = read("the key file", &self.path).await?;
        if known.is_some_and(|known| known.document == document) {
            return Ok(Fetched::NotModified { fresh_for: None });
        }
        Ok(Fetched::Document { document, validators: None, fresh_for: None })
    }
}

/// Reads a whole file, on a thread where waiting for a disk delays nobody.
pub(super) async fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, FetchError> {
    let path = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || read_blocking(&path)).await;
    reading.unwrap_or(Err(FileError::Unreadable)).map_err(|why| FetchError::File { what, why })
}

fn read_blocking(path: &Path) -> Result<Vec<u8>, FileError> {
    // Opening a pipe would wait for its writer, so the kind is looked at before.
    if !std::fs::metadata(path)?.is_file() {
        return Err(FileError::NotAFile);
    }
    let mut content = Vec::new();
    let bound = u64::try_from(BODY_MAX).map_or(u64::MAX, |bound| bound + 1);
    File::open(path)?.take(bound).read_to_end(&mut content)?;
    if content.len() > BODY_MAX { Err(FileError::TooLarge) } else { Ok(content) }
}

/// How often a key file is looked at.
pub(super) const POLL: Duration = Duration::from_secs(1);
