//! Key files: what is noticed, what is not taken.

use super::*;

/// A key file in the volume of a pod: `keys.json` leads to `..data/keys.json`, and `..data` to the directory of a version.
struct Volume(tempfile::TempDir);

impl Volume {
    fn new(document: &[u8]) -> Self {
        let volume = Self(tempfile::tempdir().expect("a directory"));
        volume.swap("v1", document);
        std::os::unix::fs::symlink("..data/keys.json", volume.path()).expect("a link");
        volume
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("keys.json")
    }

    /// As the kubelet does it: a new directory, a new link to it, renamed over the old one.
    fn swap(&self, version: &str, document: &[u8]) {
        let directory = self.0.path().join(version);
        std::fs::create_dir(&directory).expect("a directory");
        std::fs::write(directory.join("keys.json"), document).expect("a file");
        let link = self.0.path().join("..data_tmp");
        std::os::unix::fs::symlink(version, &link).expect("a link");
        std::fs::rename(link, self.0.path().join("..data")).expect("a rename");
    }
}

struct Watched {
    refresher: JwksRefresher,
    slot: Arc<KeySlot>,
}

impl Watched {
    async fn start(path: std::path::PathBuf) -> Self {
        let slot = Arc::new(KeySlot::default());
        let settings = FetchSettings { stale_limit: Duration::from_secs(1), ..FetchSettings::default() };
        let source =
            Source { origin: origin(ISSUER, Location::File(path), settings), slot: Arc::clone(&slot), required: true };
        let refresher = JwksRefresher::start(vec![source], &Registry::new()).expect("a refresher");
        refresher.first_attempts(Duration::from_secs(10)).await;
        Self { refresher, slot }
    }

    fn kids(&self) -> Vec<String> {
        let published = self.slot.latest();
        let keys = published.as_ref().and_then(|published| published.usable(SystemTime::now().into()));
        keys.map(|keys| keys.keys().iter().filter_map(|key| key.kid().map(str::to_owned)).collect()).unwrap_or_default()
    }

    fn fault(&self) -> Option<FetchError> {
        self.refresher.status().remove(0).fault
    }
}

const A_LOOK: Duration = Duration::from_millis(1100);

#[tokio::test(start_paused = true)]
async fn a_file_is_noticed_when_it_changes_however_it_changes() {
    let volume = Volume::new(&document(&["a"]));
    let watched = Watched::start(volume.path()).await;
    assert_eq!(watched.kids(), ["a"]);
    let stale = watched.slot.latest().as_ref().map(|published| published.stale);
    assert_eq!(stale, Some(UnixTime::MAX), "a file never goes stale");

    volume.swap("v2", &document(&["b"]));
    sleep(A_LOOK).await;
    assert_eq!(watched.kids(), ["b"]);

    std::fs::write(volume.path(), document(&["c"])).expect("a write in place");
    sleep(A_LOOK).await;
    assert_eq!(watched.kids(), ["c"]);

    let beside = volume.0.path().join("beside");
    std::fs::write(&beside, document(&["d"])).expect("a file");
    std::fs::rename(beside, volume.path()).expect("a rename");
    sleep(A_LOOK).await;
    assert_eq!(watched.kids(), ["d"]);
}

#[tokio::test(start_paused = true)]
async fn a_bad_or_half_written_file_keeps_the_old_keys_until_it_is_whole() {
    let volume = Volume::new(&document(&["a"]));
    let watched = Watched::start(volume.path()).await;
    let whole = document(&["b"]);
    for bad in [&whole[..whole.len() / 2], b"", br#"{"keys":[]}"#, b"\x7fELF"] {
        std::fs::write(volume.path(), bad).expect("a write");
        sleep(A_LOOK).await;
        assert_eq!(watched.kids(), ["a"]);
        assert!(matches!(watched.fault(), Some(FetchError::Document(_))));
    }
    std::fs::remove_file(volume.path()).expect("a removal");
    sleep(A_LOOK).await;
    assert_eq!(watched.kids(), ["a"]);
    assert_eq!(watched.fault(), Some(FetchError::File { what: "the key file", why: FileError::Missing }));

    std::fs::write(volume.path(), whole).expect("a write");
    sleep(A_LOOK).await;
    assert_eq!((watched.kids(), watched.fault()), (vec!["b".to_owned()], None));
}

#[tokio::test(start_paused = true)]
async fn a_request_for_a_new_key_in_a_file_does_not_wait_for_the_next_look() {
    let volume = Volume::new(&document(&["a"]));
    let watched = Watched::start(volume.path()).await;
    advance(Duration::from_millis(1)).await;
    volume.swap("v2", &document(&["b"]));
    let asked = Instant::now();
    assert_eq!(watched.refresher.fresher(first(&watched.refresher), Some("b"), asked, BOUND).await, Freshness::Changed);
    assert!(asked.elapsed() < Duration::from_millis(300));
}

#[tokio::test]
async fn what_is_no_regular_file_of_bearable_size_is_not_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let large = directory.path().join("large");
    std::fs::write(&large, vec![b' '; 1024 * 1024 + 1]).expect("a file");
    let cases = [
        (directory.path().to_owned(), FileError::NotAFile),
        ("/dev/zero".into(), FileError::NotAFile),
        (directory.path().join("missing"), FileError::Missing),
        (large, FileError::TooLarge),
    ];
    for (path, why) in cases {
        let watched = Watched::start(path).await;
        assert_eq!(watched.fault(), Some(FetchError::File { what: "the key file", why }));
    }
}
