//! The rules of the scripts: every program that a script or a test calls comes from `scripts/tools.sh`, and what is skipped for want
//! of one is noted, or fails where every tool is required.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Ways of looking for a program, or of installing one, that only `scripts/tools.sh` may use.
const OWN_WAYS: [&str; 7] = [
    "command -v",
    "$(which ",
    "type -P",
    "shutil.which",
    "apt-get install",
    "pip\", \"install",
    "npm install --global",
];

/// What runs while an image is built, where this project's scripts are not.
const IN_AN_IMAGE: &str = "deploy/";

#[test]
fn only_one_script_looks_for_programs_and_installs_them() {
    let mut read = 0;
    let scripts = listed().into_iter().filter(|path| {
        let name = path.to_str().unwrap();
        [".sh", ".py", "Makefile", ".ci/run"].iter().any(|end| name.ends_with(end))
            && name != "scripts/tools.sh"
            && !name.starts_with(IN_AN_IMAGE)
    });
    for path in scripts {
        read += 1;
        for (number, line) in lines(&path) {
            let code = line.split("# ").next().unwrap_or_default();
            let found = OWN_WAYS.iter().find(|way| code.contains(*way));
            assert_eq!(found, None, "{}:{number} finds a program by itself: {line}", path.display());
        }
    }
    assert!(read > 20, "the scripts are read: {read}");
}

#[test]
fn the_images_of_the_build_and_of_ci_have_the_compiler_of_the_toolchain_file() {
    let toolchain = fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = \"")?.strip_suffix('"')).unwrap();
    assert_eq!(channel.split('.').count(), 3, "a patch release, and not what a tag of images moves with: {channel}");
    for path in ["deploy/Dockerfile", ".github/workflows/ci.yml"] {
        let text = fs::read_to_string(root().join(path)).unwrap();
        let tags =
            text.split("rust:").skip(1).map(|rest| rest.split(['-', ' ', '\n']).next().unwrap()).collect::<Vec<_>>();
        assert_eq!(tags, [channel], "{path}");
    }
}

#[test]
fn no_test_starts_a_program_that_the_machine_happens_to_have() {
    let mut read = 0;
    for path in listed() {
        let name = path.to_str().unwrap();
        if name == "tests/project/scripts.rs"
            || !name.ends_with(".rs")
            || !["tests/", "testkit/", "benches/"].iter().any(|start| name.starts_with(start))
        {
            continue;
        }
        read += 1;
        for (number, line) in lines(&path) {
            // A literal name is looked for on the PATH.
            assert!(!line.contains("Command::new(\""), "{name}:{number} starts a program by its name: {line}");
        }
    }
    assert!(read > 50, "the tests are read: {read}");
}

#[test]
fn tool_that_was_only_unpacked_is_on_the_path_of_the_script_that_asks() {
    let project = project();
    let promtool = project.path().join("target/tools/bin/promtool");
    fs::create_dir_all(promtool.parent().unwrap()).unwrap();
    fs::write(&promtool, "#!/bin/sh\necho the unpacked one\n").unwrap();
    fs::set_permissions(&promtool, fs::Permissions::from_mode(0o755)).unwrap();
    let ended = bash(&project, ". scripts/tools.sh && need promtool && promtool", "0");
    assert_eq!(text(&ended), (true, "the unpacked one\n".to_owned()));
    let found = bash(&project, "scripts/tools.sh find promtool", "0");
    assert_eq!(text(&found), (true, format!("{}\n", promtool.display())));
    // And one that is nowhere is not found.
    assert!(!bash(&project, "scripts/tools.sh find no-such-tool", "0").status.success());
}

#[test]
fn check_without_its_tool_is_noted_and_fails_where_every_tool_is_required() {
    let project = project();
    let check = "scripts/tools.sh run-or-skip 'the check' no-such-tool -- echo checked";
    let noted = || fs::read_to_string(project.path().join("target/skipped")).unwrap_or_default();
    assert_eq!(text(&bash(&project, check, "0")), (true, String::new()));
    assert_eq!(noted(), "the check: no-such-tool cannot be installed\n");
    assert_eq!(text(&bash(&project, check, "1")), (false, String::new()));
    // With its tool it runs, whatever is required.
    let with_its_tool = check.replace("no-such-tool", "bash");
    for required in ["0", "1"] {
        assert_eq!(text(&bash(&project, &with_its_tool, required)), (true, "checked\n".to_owned()));
    }
    assert_eq!(noted().lines().count(), 2, "what runs is not noted");
}

#[test]
fn what_no_package_has_is_noted_and_never_fails() {
    let project = project();
    let ended = bash(&project, "scripts/tools.sh unavailable fuzzing 'no nightly toolchain'", "1");
    assert!(ended.status.success());
    assert!(String::from_utf8_lossy(&ended.stderr).contains("fuzzing: SKIPPED"), "and it is loud");
    assert_eq!(fs::read_to_string(project.path().join("target/skipped")).unwrap(), "fuzzing: no nightly toolchain\n");
}

/// A project with nothing but the script.
fn project() -> TempDir {
    let project = tempfile::tempdir().unwrap();
    fs::create_dir(project.path().join("scripts")).unwrap();
    fs::copy(root().join("scripts/tools.sh"), project.path().join("scripts/tools.sh")).unwrap();
    project
}

/// Runs a line of bash in it, with the programs of a base system.
fn bash(project: &TempDir, line: &str, require_all_tools: &str) -> Output {
    let mut command = Command::new("bash");
    command.args(["-euc", line]).current_dir(project.path()).env_clear();
    command.envs([("PATH", "/usr/bin:/bin"), ("REQUIRE_ALL_TOOLS", require_all_tools)]).output().unwrap()
}

fn text(ended: &Output) -> (bool, String) {
    (ended.status.success(), String::from_utf8_lossy(&ended.stdout).into_owned())
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The project's files, below its root; not what is built or installed in it.
fn listed() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let path = folder.join(entry.unwrap().file_name());
            let skipped = ["target", ".git", "node_modules", "__pycache__"].iter().any(|name| path.ends_with(name));
            match root().join(&path) {
                _ if skipped => {}
                place if place.is_dir() => folders.push(path),
                _ => found.push(path),
            }
        }
    }
    found
}

fn lines(path: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(root().join(path)).unwrap();
    text.lines().map(str::to_owned).enumerate().map(|(at, line)| (at + 1, line)).collect()
}
