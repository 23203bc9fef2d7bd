//! The programs that tests call. `scripts/tools.sh` finds them, and keeps the list of what was skipped for want of one.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where a program is. Nothing is installed here: `make test` has done it.
pub fn find(tool: &str) -> Option<PathBuf> {
    let found = script("find").arg(tool).output().expect("scripts/tools.sh starts");
    found.status.success().then(|| PathBuf::from(String::from_utf8_lossy(&found.stdout).trim()))
}

/// Notes that a test has shown nothing for want of a program. Fails if `REQUIRE_ALL_TOOLS=1`.
pub fn skip(what: &str, why: &str) {
    let noted = script("skip").args([what, why]).status().expect("scripts/tools.sh starts");
    assert!(noted.success(), "{what} was skipped: {why}");
}

/// Notes that a test has shown nothing for want of what no package has, such as a feature of the kernel.
pub fn unavailable(what: &str, why: &str) {
    let noted = script("unavailable").args([what, why]).status().expect("scripts/tools.sh starts");
    assert!(noted.success(), "it is noted");
}

fn script(action: &str) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/tools.sh"));
    command.arg(action);
    command
}
