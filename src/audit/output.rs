//! Where the lines go: standard output, or a file that is opened anew after it was moved away. A line that was torn by a
//! failure is ended before the next, so that every other line stays whole.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// An open output.
pub struct Output {
    writer: Box<dyn Write + Send>,
    /// The end of the last line is missing.
    is_torn: bool,
    rotation: Option<Rotation>,
}

/// A file that may be moved away under us.
struct Rotation {
    path: PathBuf,
    /// Device and inode of what is open.
    open: (u64, u64),
    looked: Instant,
}

/// How much of a batch was written, and why not all of it.
pub struct OutputError {
    /// Bytes that were written.
    pub written: usize,
    /// What the operating system said.
    pub error: io::Error,
}

impl Output {
    /// Standard output.
    ///
    /// # Errors
    /// If it is closed, or `/dev/null`: records would be lost without anybody's knowledge.
    pub fn stdout() -> io::Result<Self> {
        // Not `io::stdout`, which takes a closed descriptor for a success and holds back parts of lines.
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        if is_nowhere(&file.metadata()?) {
            return Err(io::Error::other("it is closed or /dev/null"));
        }
        Ok(Self::to(file))
    }

    /// The end of a file, which is made if it is missing and can then be read by its owner and group.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn file(path: &Path) -> io::Result<Self> {
        let (file, open) = append_to(path)?;
        let rotation = Some(Rotation { path: path.to_owned(), open, looked: Instant::now() });
        Ok(Self { rotation, ..Self::to(file) })
    }

    /// Any writer.
    #[must_use]
    pub fn to(writer: impl Write + Send + 'static) -> Self {
        Self { writer: Box::new(writer), is_torn: false, rotation: None }
    }

    /// No output at all: every record is lost, and counted as such.
    #[must_use]
    pub fn nowhere() -> Self {
        struct Nowhere;
        impl Write for Nowhere {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::other("there is no output"))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        Self::to(Nowhere)
    }

    /// Writes whole lines.
    ///
    /// # Errors
    /// How far it came.
    pub fn write(&mut self, lines: &[u8]) -> Result<(), OutputError> {
        self.follow();
        if self.is_torn {
            self.write_through(b"\n").map_err(|failure| OutputError { written: 0, ..failure })?;
            self.is_torn = false;
        }
        self.write_through(lines).inspect_err(|failure| {
            let last = failure.written.checked_sub(1).and_then(|last| lines.get(last));
            self.is_torn = last.is_some_and(|byte| *byte != b'\n');
        })
    }

    fn write_through(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.writer.write(rest) {
                Ok(0) => return Err(OutputError { written, error: io::ErrorKind::WriteZero.into() }),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Somebody who shares the pipe has made it non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(WOULD_BLOCK),
                Err(error) => return Err(OutputError { written, error }),
            }
        }
        self.writer.flush().map_err(|error| OutputError { written, error })
    }

    /// Opens the file anew if it is no longer the one at its path. If that fails, the open one goes on.
    fn follow(&mut self) {
        let Some(rotation) = &mut self.rotation else { return };
        if rotation.looked.elapsed() < LOOK {
            return;
        }
        rotation.looked = Instant::now();
        if std::fs::metadata(&rotation.path).is_ok_and(|found| identity(&found) == rotation.open) {
            return;
        }
        match append_to(&rotation.path) {
            Ok((file, open)) => {
                rotation.open = open;
                self.writer = Box::new(file);
                self.is_torn = false;
                tracing::info!(file = %rotation.path.display(), "The audit file was moved away and opened anew.");
            }
            Err(error) => tracing::error!(%error, "The audit file was moved away and cannot be opened anew."),
        }
    }
}

fn append_to(path: &Path) -> io::Result<(File, (u64, u64))> {
    let file = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
    let identity = identity(&file.metadata()?);
    Ok((file, identity))
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// What a process gets in the place of a closed standard output (Rust opens `/dev/null` there), or was given on purpose.
fn is_nowhere(file: &Metadata) -> bool {
    file.file_type().is_char_device() && std::fs::metadata("/dev/null").is_ok_and(|null| null.rdev() == file.rdev())
}

/// How often it is looked whether a file was moved away.
const LOOK: Duration = Duration::from_secs(1);

const WOULD_BLOCK: Duration = Duration::from_millis(5);
