//! The last good key document of an issuer on disk, so that a restart while the issuer is down serves at once. Who can write
//! it can make tokens: it is only read back if nobody else could have written it, and through the same reader as a fetched
//! one, with the age that it had.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use prometheus::IntCounter;
use serde::{Deserialize, Serialize};
use tokio::task::{JoinHandle, spawn_blocking};

use super::error::BODY_MAX;
use crate::clock::UnixTime;
use crate::file_watcher::FileError;

/// The place of one issuer's snapshot.
pub(super) struct Snapshot {
    file: SnapshotFile,
    saving: Option<JoinHandle<Result<(), SnapshotError>>>,
    /// Counts the writes that failed.
    failures: IntCounter,
}

/// A document from an earlier time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Remembered {
    pub document: Vec<u8>,
    /// When the issuer last confirmed it.
    pub confirmed: UnixTime,
}

/// Why a snapshot is not used, or could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SnapshotError {
    #[error("{0}")]
    File(FileError),
    #[error("it is not a snapshot")]
    Format,
    #[error("it is from the future; compare the clocks")]
    Future,
    #[error("it belongs to another user, or others may write it")]
    Owner,
    #[error("it is of another issuer or source")]
    Stranger,
    #[error("it is older than stale_limit")]
    TooOld,
}

#[derive(Clone)]
struct SnapshotFile {
    directory: PathBuf,
    path: PathBuf,
    issuer: String,
    location: String,
}

/// The first line of the file. The document follows as it is.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Heading {
    callgate_key_snapshot: u8,
    issuer: String,
    location: String,
    confirmed: u64,
}

impl Snapshot {
    /// The snapshot, in this directory, of the keys that an issuer has at a location.
    pub(super) fn new(directory: &Path, issuer: &str, location: &str, failures: IntCounter) -> Self {
        // Any two names differ, and none leads out of the directory.
        let name = digest(&SHA256, format!("{issuer}\n{location}").as_bytes());
        let name: String = name.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let file = SnapshotFile {
            directory: directory.to_owned(),
            path: directory.join(format!("{name}.keys")),
            issuer: issuer.to_owned(),
            location: location.to_owned(),
        };
        Self { file, saving: None, failures }
    }

    /// Reads it back, if there is one that is fit to serve.
    pub(super) async fn load(&self, now: UnixTime, stale_limit: Duration) -> Result<Option<Remembered>, SnapshotError> {
        let file = self.file.clone();
        let loaded = spawn_blocking(move || file.load(now, stale_limit)).await;
        loaded.unwrap_or(Err(SnapshotError::File(FileError::Unreadable)))
    }

    /// Writes it in the background: a disk that hangs must not hold up the keys. Returns how the write before went.
    pub(super) async fn save(&mut self, document: &[u8], confirmed: UnixTime) -> Result<(), SnapshotError> {
        let before = match self.saving.take() {
            Some(saving) if !saving.is_finished() => {
                self.saving = Some(saving);
                return Ok(());
            }
            Some(saving) => saving.await.unwrap_or(Err(SnapshotError::File(FileError::Unreadable))),
            None => Ok(()),
        };
        let (file, document) = (self.file.clone(), document.to_owned());
        let failures = self.failures.clone();
        self.saving = Some(spawn_blocking(move || file.save(&document, confirmed).inspect_err(|_| failures.inc())));
        before
    }
}

impl SnapshotFile {
    fn load(&self, now: UnixTime, stale_limit: Duration) -> Result<Option<Remembered>, SnapshotError> {
        let ours = self.own_user()?;
        if !self.path.try_exists()? {
            return Ok(None);
        }
        // Opening a pipe would wait for its writer.
        if !fs::metadata(&self.path)?.is_file() {
            return Err(SnapshotError::File(FileError::NotAFile));
        }
        let file = File::open(&self.path)?;
        let metadata = file.metadata()?;
        if metadata.uid() != ours || metadata.mode() & WRITABLE_BY_OTHERS != 0 {
            return Err(SnapshotError::Owner);
        }
        let mut content = Vec::new();
        file.take(CONTENT_MAX).read_to_end(&mut content)?;
        self.read(&content, now, stale_limit).map(Some)
    }

    fn read(&self, content: &[u8], now: UnixTime, stale_limit: Duration) -> Result<Remembered, SnapshotError> {
        let end = content.iter().position(|byte| *byte == b'\n').ok_or(SnapshotError::Format)?;
        let (heading, document) = content.split_at(end);
        let heading: Heading = serde_json::from_slice(heading).map_err(|_| SnapshotError::Format)?;
        if heading.callgate_key_snapshot != FORMAT {
            return Err(SnapshotError::Format);
        }
        if heading.issuer != self.issuer || heading.location != self.location {
            return Err(SnapshotError::Stranger);
        }
        let confirmed = UnixTime::from_secs(heading.confirmed);
        if confirmed > now.plus(CLOCK_STEP) {
            return Err(SnapshotError::Future);
        }
        if now >= confirmed.plus(stale_limit) {
            return Err(SnapshotError::TooOld);
        }
        let document = document.get(1..).unwrap_or_default().to_owned();
        Ok(Remembered { document, confirmed })
    }

    fn save(&self, document: &[u8], confirmed: UnixTime) -> Result<(), SnapshotError> {
        let heading = Heading {
            callgate_key_snapshot: FORMAT,
            issuer: self.issuer.clone(),
            location: self.location.clone(),
            confirmed: confirmed.as_secs(),
        };
        let mut content = serde_json::to_vec(&heading).map_err(|_| SnapshotError::Format)?;
        content.push(b'\n');
        content.extend_from_slice(document);
        let unfinished = self.path.with_extension("unfinished");
        create(&unfinished)?.write_synced(&content)?;
        // In one step, so that a reader finds the old one or the new one.
        fs::rename(&unfinished, &self.path)?;
        Ok(File::open(&self.directory)?.sync_all()?)
    }

    /// The user that owns what we create here. It also shows that we can.
    fn own_user(&self) -> Result<u32, SnapshotError> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let probe = self.path.with_extension("probe");
        let user = create(&probe)?.0.metadata()?.uid();
        fs::remove_file(probe)?;
        Ok(user)
    }
}

/// A file that is only ours.
struct Fresh(File);

fn create(path: &Path) -> io::Result<Fresh> {
    // What an earlier process left unfinished.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(Fresh)
}

impl Fresh {
    fn write_synced(mut self, content: &[u8]) -> io::Result<()> {
        self.0.write_all(content)?;
        self.0.sync_all()
    }
}

impl From<io::Error> for SnapshotError {
    fn from(error: io::Error) -> Self {
        Self::File(error.into())
    }
}

const FORMAT: u8 = 1;

/// Group and world.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// The longest file that is read: a document and a heading.
const CONTENT_MAX: u64 = BODY_MAX as u64 + 64 * 1024;

/// By how much a clock may have been set back since.
const CLOCK_STEP: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn snapshot(directory: &Path) -> Snapshot {
        Snapshot::new(directory, "https://a.example", "https://a.example/keys", failures())
    }

    fn failures() -> IntCounter {
        IntCounter::new("failures", "h").expect("a metric")
    }

    async fn save(snapshot: &mut Snapshot, document: &[u8], confirmed: UnixTime) {
        snapshot.save(document, confirmed).await.expect("a start");
        snapshot.saving.take().expect("a write").await.expect("an end").expect("a snapshot");
    }

    #[tokio::test]
    async fn what_was_saved_is_loaded_with_its_age() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut snapshot = snapshot(&directory.path().join("made/by us"));
        assert_eq!(snapshot.load(NOW, HOUR).await, Ok(None), "there is none yet");
        for document in [&b"{\"keys\":[]}\n\n"[..], b"", b"\xff\n"] {
            save(&mut snapshot, document, NOW).await;
            let remembered = Remembered { document: document.to_owned(), confirmed: NOW };
            assert_eq!(snapshot.load(NOW.plus(HOUR / 2), HOUR).await, Ok(Some(remembered)));
        }
        let mode = fs::metadata(&snapshot.file.path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let names = fs::read_dir(&snapshot.file.directory).expect("a directory").count();
        assert_eq!(names, 1, "nothing unfinished is left");
    }

    #[tokio::test]
    async fn what_is_too_old_or_from_the_future_is_not_used() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut snapshot = snapshot(directory.path());
        save(&mut snapshot, b"x", NOW).await;
        assert!(snapshot.load(NOW.plus(HOUR - Duration::from_secs(1)), HOUR).await.is_ok());
        assert_eq!(snapshot.load(NOW.plus(HOUR), HOUR).await, Err(SnapshotError::TooOld));
        let earlier = UnixTime::from_secs(NOW.as_secs() - 61);
        assert_eq!(snapshot.load(earlier, HOUR).await, Err(SnapshotError::Future));
    }

    #[tokio::test]
    async fn what_others_could_have_written_is_not_used() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut snapshot = snapshot(directory.path());
        save(&mut snapshot, b"x", NOW).await;
        for (mode, is_used) in [(0o600, true), (0o644, true), (0o620, false), (0o602, false), (0o666, false)] {
            fs::set_permissions(&snapshot.file.path, fs::Permissions::from_mode(mode)).expect("a mode");
            assert_eq!(snapshot.load(NOW, HOUR).await.is_ok(), is_used, "{mode:o}");
        }
        fs::set_permissions(&snapshot.file.path, fs::Permissions::from_mode(0o600)).expect("a mode");
        assert!(snapshot.load(NOW, HOUR).await.is_ok());
        // Only root can give a file away.
        if std::os::unix::fs::chown(&snapshot.file.path, Some(4711), None).is_ok() {
            assert_eq!(snapshot.load(NOW, HOUR).await, Err(SnapshotError::Owner));
        }
    }

    #[tokio::test]
    async fn what_is_of_another_issuer_or_source_is_not_used() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut ours = snapshot(directory.path());
        save(&mut ours, b"x", NOW).await;
        for (issuer, location) in [("https://b.example", "https://a.example/keys"), ("https://a.example", "discovery")]
        {
            let other = Snapshot::new(directory.path(), issuer, location, failures());
            assert_eq!(other.load(NOW, HOUR).await, Ok(None), "each has its own place");
            fs::copy(&ours.file.path, &other.file.path).expect("a copy");
            assert_eq!(other.load(NOW, HOUR).await, Err(SnapshotError::Stranger));
        }
    }

    #[tokio::test]
    async fn what_is_no_snapshot_is_not_used() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut snapshot = snapshot(directory.path());
        save(&mut snapshot, b"x", NOW).await;
        let whole = fs::read_to_string(&snapshot.file.path).expect("a file");
        let newer = whole.replace("\"callgate_key_snapshot\":1", "\"callgate_key_snapshot\":2");
        for content in ["", "\n", "{}\n", "x", &whole[..20], &newer] {
            fs::write(&snapshot.file.path, content).expect("a file");
            assert_eq!(snapshot.load(NOW, HOUR).await, Err(SnapshotError::Format), "{content:?}");
        }
        fs::remove_file(&snapshot.file.path).expect("a removal");
        fs::create_dir(&snapshot.file.path).expect("a directory");
        assert_eq!(snapshot.load(NOW, HOUR).await, Err(SnapshotError::File(FileError::NotAFile)));
    }

    #[tokio::test]
    async fn a_place_where_nothing_can_be_written_is_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("file");
        fs::write(&file, "").expect("a file");
        assert!(matches!(snapshot(&file.join("below")).load(NOW, HOUR).await, Err(SnapshotError::File(_))));
    }

    #[tokio::test]
    async fn an_unfinished_write_of_an_earlier_process_is_no_obstacle() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut snapshot = snapshot(directory.path());
        fs::write(snapshot.file.path.with_extension("unfinished"), "half").expect("a file");
        fs::write(snapshot.file.path.with_extension("probe"), "").expect("a file");
        assert_eq!(snapshot.load(NOW, HOUR).await, Ok(None));
        save(&mut snapshot, b"x", NOW).await;
        assert!(snapshot.load(NOW, HOUR).await.is_ok());
    }
}
