//! `sidecar.toml`, the schema and docs/configuration.md say the same: every key, with its type, default and meaning. The page's
//! tables and the schema beside it are written anew by `UPDATE_DOCS=1 cargo test --test project`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use callgate::config::{load, load_str, schema, toml_text};
use serde_json::Value;

/// A key of the file, as the schema has it.
struct Key {
    /// `issuers[].keys.url`.
    path: String,
    kind: String,
    required: bool,
    default: Option<Value>,
    meaning: String,
}

#[test]
fn the_example_is_accepted_without_a_warning() {
    let compiled = load(&root().join("sidecar.toml")).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(compiled.warnings, []);
}

#[test]
fn the_example_is_accepted_with_everything_that_is_commented_out() {
    let text: String = uncommented()
        .lines()
        .filter(|line| *line != "[listen.tls]" && !FOR_OTHERS.iter().any(|key| line.starts_with(&format!("{key} ="))))
        .fold(String::new(), |text, line| text + line + "\n");
    let compiled = load_str("sidecar.toml", &text, &root()).unwrap_or_else(|problems| panic!("{problems}"));
    let warnings: Vec<_> = compiled.warnings.iter().map(|warning| warning.key.as_str()).collect();
    assert_eq!(warnings, ["public[0].path", "report[0].path"]);
}

#[test]
fn the_example_has_every_key_with_its_default() {
    let example: toml::Table = uncommented().parse().unwrap();
    let example = serde_json::to_value(example).unwrap();
    for key in keys() {
        let pointer = format!("/{}", key.path.replace("[]", "/0").replace('.', "/"));
        let Some(found) = example.pointer(&pointer) else { panic!("sidecar.toml has no {}", key.path) };
        if let Some(default) = &key.default {
            assert_eq!(found, default, "sidecar.toml shows the default of {}", key.path);
        }
    }
}

#[test]
fn the_example_has_no_line_that_the_test_cannot_read() {
    // A key that is commented out is "# key = value"; prose never looks like that.
    let text = fs::read_to_string(root().join("sidecar.toml")).unwrap();
    for line in text.lines().skip_while(|line| line.starts_with("#:schema ")) {
        assert!(!line.starts_with('#') || line.starts_with("# "), "{line}");
        assert!(line.chars().count() <= 130, "{line}");
    }
}

#[test]
fn the_documentation_has_every_key_under_the_heading_of_its_table() {
    let path = root().join("docs/configuration.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("docs/configuration.md has a place for the tables");
    let (found, after) = rest.split_once(END).expect("the place ends");
    let wanted = format!("\n{}", tables());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
    } else {
        assert_eq!(found, wanted, "docs/configuration.md is behind; run UPDATE_DOCS=1 cargo test --test project");
    }
}

#[test]
fn the_committed_schema_is_that_of_the_code() {
    let path = root().join("docs/sidecar.schema.json");
    let wanted = format!("{:#}\n", schema());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, wanted).unwrap();
    } else {
        let found = fs::read_to_string(&path).unwrap();
        assert!(found == wanted, "docs/sidecar.schema.json is behind; run UPDATE_DOCS=1 cargo test --test project");
    }
}

#[test]
fn every_example_names_the_schema_for_editors() {
    let schema = fs::canonicalize(root().join("docs/sidecar.schema.json")).unwrap();
    let mut examples = vec![root().join("sidecar.toml")];
    for directory in ["deploy", "examples", "tests"] {
        find_examples(&root().join(directory), &mut examples);
    }
    assert!(examples.len() > 5, "the examples are found: {examples:?}");
    for example in examples {
        let text = fs::read_to_string(&example).unwrap();
        let named = text.lines().next().and_then(|line| line.strip_prefix("#:schema "));
        let named = named.unwrap_or_else(|| panic!("{} does not begin with #:schema", example.display()));
        let meant = example.parent().unwrap().join(named);
        assert_eq!(fs::canonicalize(meant).unwrap(), schema, "{}", example.display());
    }
}

/// Every file named `sidecar.toml` below a directory.
fn find_examples(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_dir() && name != "node_modules" {
            find_examples(&path, found);
        } else if name == "sidecar.toml" {
            found.push(path);
        }
    }
}

#[test]
fn check_accepts_the_example_and_sums_it_up() {
    let output = callgate(&["check", "--config", "sidecar.toml"]);
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{out}");
    assert!(out.starts_with("sidecar.toml is good.\n"), "{out}");
    assert!(out.contains("https://auth.internal.example for email-service, signed with ES256"), "{out}");
}

#[test]
fn check_refuses_a_bad_file_with_78_and_says_everything_on_stderr() {
    let text = fs::read_to_string(root().join("sidecar.toml")).unwrap();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bad.toml");
    fs::write(&file, text.replace("audiences =", "audience =").replace("\"ES256\"", "\"HS256\"")).unwrap();
    for command in ["check", "run"] {
        let output = callgate(&[command, "--config", file.to_str().unwrap()]);
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(78), &b""[..]), "{err}");
        assert!(err.contains("did you mean \"audiences\"?") && err.contains("\"HS256\" is never accepted"), "{err}");
        assert!(err.ends_with("bad.toml: 2 errors; the configuration cannot be used.\n"), "{err}");
    }
}

#[test]
fn check_prints_what_presets_stand_for_and_that_is_a_configuration_of_the_same_meaning() {
    let text = fs::read_to_string(root().join("sidecar.toml")).unwrap();
    let (tables, _) = text.split_once("[[issuers]]").unwrap();
    let with = |issuers: &str, name: &str| {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&file, format!("{tables}{issuers}")).unwrap();
        let output = callgate(&["check", "--expand", "--config", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let out = String::from_utf8(output.stdout).unwrap();
        let (summary, expanded) = out.split_once("\n\n").expect("a summary and the issuers");
        (summary.lines().skip(1).map(str::to_owned).collect::<Vec<_>>(), expanded.to_owned())
    };
    let issuer =
        |name: &str, more: &str| format!("[[issuers]]\nissuer = \"https://{name}\"\naudiences = [\"a\"]\n{more}\n");
    let written = issuer("rfc.example", "preset = \"rfc9068\"\nkeys.refresh = \"1m\"")
        + &issuer(
            "spiffe.example",
            "preset = \"spiffe\"\ntrust_domain = \"example.org\"\nkeys.url = \"https://spiffe.example/\"",
        );
    let (summary, expanded) = with(&written, "preset.toml");
    for part in ["typ = [\"at+jwt\"]", "refresh = \"1m\"", "pattern = \"spiffe://example.org/*\"", "use = \"jwt-svid\""]
    {
        assert!(expanded.contains(part), "{expanded}");
    }
    assert!(!expanded.contains("preset"), "{expanded}");
    assert_eq!(with(&expanded, "expanded.toml"), (summary, expanded));
}

#[test]
fn schema_prints_the_schema() {
    let output = callgate(&["schema"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), schema());
}

#[test]
fn check_looks_for_the_files_of_a_pod_below_the_root_that_is_named() {
    let place = tempfile::tempdir().unwrap();
    let config = place.path().join("sidecar.toml");
    let text = "[listen]\naddress = \"127.0.0.1:1\"\n[upstream]\naddress = \"127.0.0.1:2\"\n[admin]\naddress = \"127.0.0.1:3\"\n\
                [[issuers]]\nissuer = \"https://issuer.test\"\naudiences = [\"a\"]\nalgorithms = [\"ES256\"]\nkeys.discovery = true\n\
                [revocation]\nfile = \"/etc/callgate-deny/revoked.jsonl\"\n";
    fs::write(&config, text).unwrap();
    let check = |root: Option<&Path>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
        command.args(["check", "--config"]).arg(&config);
        root.into_iter().for_each(|root| {
            command.arg("--root").arg(root);
        });
        command.output().unwrap()
    };
    let pod = place.path().join("pod");
    fs::create_dir_all(pod.join("etc/callgate-deny")).unwrap();
    assert_eq!(check(Some(&pod)).status.code(), Some(78), "the file is missing there too");
    fs::write(pod.join("etc/callgate-deny/revoked.jsonl"), "").unwrap();
    assert_eq!(check(Some(&pod)).status.code(), Some(0));
    assert_eq!(check(None).status.code(), Some(78));
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = callgate(&["completions", shell]);
        let script = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(script.contains("rollout") && script.contains("reload"), "{shell}: {script}");
    }
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().to_str().unwrap();
    assert_eq!(callgate(&["man", directory]).status.code(), Some(0));
    let page = fs::read_to_string(place.path().join("callgate-check.1")).unwrap();
    assert!(page.contains("\\-\\-root"), "{page}");
    assert!(fs::read_to_string(place.path().join("callgate.1")).unwrap().contains("callgate\\-drain"));
    assert_eq!(callgate(&["man", "/dev/null/none"]).status.code(), Some(1));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn callgate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command.args(arguments).current_dir(root()).env_remove("CALLGATE_CONFIG").output().unwrap()
}

/// `sidecar.toml` with every key in force.
fn uncommented() -> String {
    let text = fs::read_to_string(root().join("sidecar.toml")).unwrap();
    let is_key = |line: &str| {
        let name = line.split_once(" = ").map_or("", |(name, _)| name);
        line.starts_with('[')
            || !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    text.lines()
        .map(|line| line.strip_prefix("# ").filter(|line| is_key(line)).unwrap_or(line))
        .fold(String::new(), |text, line| text + line + "\n")
}

/// The keys of the schema in the order of `sidecar.toml`; the tables themselves are left out.
fn keys() -> Vec<Key> {
    let schema = schema();
    let mut keys = Vec::new();
    collect(&schema, &schema, "", &mut keys);
    let example = uncommented();
    let example = toml::de::DeTable::parse(&example).unwrap();
    keys.sort_by_key(|key| position(example.get_ref(), &key.path));
    keys
}

/// Where a key stands in the file; behind everything if it does not.
fn position(file: &toml::de::DeTable<'_>, path: &str) -> usize {
    let mut table = Some(file);
    let mut start = usize::MAX;
    for step in path.split('.') {
        let Some(found) = table.and_then(|table| table.get(step.trim_end_matches("[]"))) else { return usize::MAX };
        let inner = if step.ends_with("[]") { found.get_ref().get(0).unwrap_or(found) } else { found };
        start = found.span().start;
        table = inner.get_ref().as_table();
    }
    start
}

fn collect(schema: &Value, table: &Value, path: &str, keys: &mut Vec<Key>) {
    let (table, path) = match table.get("items") {
        Some(items) => (resolved(schema, items), format!("{path}[]")),
        None => (resolved(schema, table), path.to_owned()),
    };
    let required: Vec<_> = table["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, key) in table["properties"].as_object().unwrap() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let items = key.get("items").map(|items| resolved(schema, items));
        if items.unwrap_or(resolved(schema, key)).get("properties").is_some() {
            collect(schema, key, &path, keys);
            continue;
        }
        keys.push(Key {
            kind: kind(schema, key),
            required: required.iter().any(|one| one == name),
            default: key.get("default").cloned(),
            meaning: key["description"].as_str().expect("every key is described").replace('\n', " "),
            path,
        });
    }
}

fn kind(schema: &Value, key: &Value) -> String {
    let key = resolved(schema, key);
    if let Some(values) = key.get("enum") {
        let values: Vec<_> =
            values.as_array().unwrap().iter().map(|value| format!("`{}`", value.as_str().unwrap())).collect();
        return values.join(" ");
    }
    if let Some(choices) = key.get("anyOf") {
        let kinds: Vec<_> = choices.as_array().unwrap().iter().map(|one| kind(schema, one)).collect();
        return kinds.join(" or ");
    }
    match key["type"].as_str() {
        Some("array") => format!("list of {}", kind(schema, &key["items"])),
        Some("object") => "table".to_owned(),
        Some("string") => key.get("title").map_or("string", |title| title.as_str().unwrap()).to_owned(),
        kind => kind.expect("a key has a type").to_owned(),
    }
}

fn resolved<'s>(schema: &'s Value, part: &'s Value) -> &'s Value {
    match part.get("$ref") {
        Some(reference) => schema.pointer(reference.as_str().unwrap().trim_start_matches('#')).unwrap(),
        None => part,
    }
}

/// Every table of the file under a heading of its own, in the order in which `sidecar.toml` begins them.
fn tables() -> String {
    let mut tables: Vec<(String, String)> = Vec::new();
    for Key { path, kind, required, default, meaning } in keys() {
        let (table, name) = path.rsplit_once('.').unwrap_or(("", &path));
        let default = match default {
            Some(default) => format!("`{}`", toml_text(&default)),
            None if required => "*required*".to_owned(),
            None => "none".to_owned(),
        };
        let row = format!("| `{name}` | {kind} | {default} | {} |\n", meaning.replace('|', "\\|"));
        match tables.iter_mut().find(|(begun, _)| begun == table) {
            Some((_, rows)) => *rows += &row,
            None => tables.push((table.to_owned(), row)),
        }
    }
    tables.iter().map(|(table, rows)| format!("\n{}\n\n{HEADER}{rows}", heading(table))).collect()
}

/// `issuers[].keys` as the file writes it.
fn heading(table: &str) -> String {
    match table.strip_suffix("[]") {
        _ if table.is_empty() => "## Before the first table".to_owned(),
        Some(name) => format!("## `[[{name}]]`"),
        None => format!("## `[{}]`", table.replace("[]", "")),
    }
}

/// Keys that name files which are not here, or that go with another kind of issuer than the example's.
const FOR_OTHERS: [&str; 16] = [
    "preset",
    "trust_domain",
    "workload_api",
    "file",
    "ca_file",
    "token_file",
    "client_cert",
    "client_key",
    "jwks_host",
    "cert",
    "key",
    "client_ca",
    "client_certificate",
    "socket_mode",
    "store",
    "password_file",
];

const HEADER: &str = "| key | type | default | meaning |\n|---|---|---|---|\n";
const BEGIN: &str = "<!-- keys:begin -->";
const END: &str = "<!-- keys:end -->";
