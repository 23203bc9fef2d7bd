//! Reading the files that a configuration consists of, with a bound, and with causes in plain words.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The bytes of a file, or why they cannot be read.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes));
    match read {
        Ok(length) if length as u64 > FILE_MAX => Err(format!("is larger than {FILE_MAX} bytes")),
        Ok(_) => Ok(bytes),
        Err(error) => Err(match error.kind() {
            io::ErrorKind::IsADirectory => "is a directory, not a file".to_owned(),
            io::ErrorKind::NotFound => "does not exist".to_owned(),
            io::ErrorKind::PermissionDenied => "cannot be read by this user: permission denied".to_owned(),
            _ => format!("cannot be read: {error}"),
        }),
    }
}

/// More than any configuration, key set or list of authorities needs, in bytes.
const FILE_MAX: u64 = 1024 * 1024;
