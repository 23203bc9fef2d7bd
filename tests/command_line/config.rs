//! What may stand in `sidecar.toml` and what may not: each refusal with its place, its key and its advice, beside what is
//! accepted. The cases change one spot of a good file.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use callgate::config::{Compiled, Problems, Severity, UpstreamAddress, load, load_str, schema};
use callgate::keys::source::{FetchUrl, Location};

mod cases;
mod hints;

/// A good configuration. Its line numbers are those of the cases.
const GOOD: &str = r#"[listen]
address = "0.0.0.0:8080"

[upstream]
address = "127.0.0.1:3000"

[admin]
address = "0.0.0.0:9901"

[[issuers]]
issuer = "https://auth.example"
audiences = ["email"]
algorithms = ["ES256"]
keys = { url = "https://auth.example/jwks.json" }
"#;

#[test]
fn the_good_configuration_is_accepted_with_its_defaults() {
    let compiled = accepted(GOOD);
    assert_eq!(compiled.warnings, []);
    assert_eq!(compiled.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(compiled.upstream.address, UpstreamAddress::Ip("127.0.0.1:3000".parse().unwrap()));
    assert_eq!(compiled.upstream.idle_timeout.as_secs(), 4);
    let issuers: Vec<_> = compiled.issuers.iter().collect();
    let [issuer] = issuers[..] else { panic!("one issuer") };
    assert_eq!(issuer.rules.requirement.issuer(), "https://auth.example");
    assert_eq!(issuer.rules.requirement.leeway().as_secs(), 30);
    let url = FetchUrl::parse("https://auth.example/jwks.json", false).unwrap();
    assert_eq!(issuer.origin.location, Location::Url(url));
    assert_eq!(issuer.origin.settings.refresh.as_secs(), 300);
    assert_eq!(issuer.origin.settings.stale_limit.as_secs(), 24 * 3600);
    assert_eq!(compiled.caller.header(), "X-Caller-Service");
    assert_eq!(compiled.limits.token_size, 8192);
    assert_eq!(compiled.limits.connections, 4096);
    assert_eq!(compiled.shutdown.drain.as_secs(), 30);
}

#[test]
fn each_mistake_is_one_problem_at_its_place() {
    let mut wrong = Vec::new();
    for (from, to, place, key, advice) in cases::REFUSED {
        let text = changed(from, to);
        let found: Vec<_> = match load_str("sidecar.toml", &text, &base()) {
            Ok(_) => Vec::new(),
            Err(problems) => errors(&problems),
        };
        let colon = if key.is_empty() { "" } else { ": " };
        let start = format!("sidecar.toml:{place}: error: {key}{colon}");
        if !matches!(&found[..], [only] if only.starts_with(&start) && only.contains(advice)) {
            wrong.push(format!("{to}\n  wanted: {start}… {advice} …\n  found:  {}", found.join("\n          ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_right_is_accepted() {
    for (from, to) in cases::ACCEPTED {
        let result = load_str("sidecar.toml", &changed(from, to), &base());
        assert!(result.is_ok(), "{to}\n{}", result.err().map(|problems| problems.to_string()).unwrap_or_default());
    }
}

#[test]
fn what_is_allowed_and_worth_a_thought_is_a_warning() {
    for (from, to, key, words) in cases::WARNED {
        let compiled = accepted(&changed(from, to));
        let [warning] = &compiled.warnings[..] else { panic!("{to}: {:?}", compiled.warnings) };
        assert_eq!((warning.severity, warning.key.as_str()), (Severity::Warning, *key));
        assert!(warning.message.contains(words), "{warning}");
    }
}

/// Editors check with the schema, by a validator that knows nothing of Callgate.
#[test]
fn the_schema_accepts_what_check_accepts_and_refuses_what_has_another_shape() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    let is_valid = |text: &str| {
        // What is no TOML for a plain parser, such as an integer of 30 digits, is not valid either.
        let table = text.parse::<toml::Table>();
        table.is_ok_and(|table| validator.is_valid(&serde_json::to_value(table).unwrap()))
    };
    assert!(is_valid(GOOD));
    let accepted = cases::ACCEPTED.iter().map(|(from, to)| (from, to));
    for (from, to) in accepted.chain(cases::WARNED.iter().map(|(from, to, ..)| (from, to))) {
        assert!(is_valid(&changed(from, to)), "{to}");
    }
    let mut refused = 0;
    for (from, to, _, key, advice) in cases::REFUSED {
        let text = changed(from, to);
        let [error] = &errors(&self::refused(&text))[..] else { panic!("{to}: one error") };
        let is_shape =
            ["unknown key", "expected ", "this key is missing", "is out of range", "is never accepted", "has no unit"]
                .iter()
                .any(|words| error.contains(words) && !error.contains("not valid TOML"));
        // A preset may bring these, and which does is not the schema's to know.
        if is_shape
            && !matches!(
                *key,
                "issuers[0].issuer" | "issuers[0].keys" | "issuers[0].algorithms" | "issuers[0].caller.claim"
            )
        {
            assert!(!is_valid(&text), "{to}: {advice}");
            refused += 1;
        }
    }
    assert!(refused > 30, "{refused}");
}

#[test]
fn the_words_of_other_products_are_answered_with_ours() {
    for (from, to, wanted) in hints::ERRORS {
        assert_eq!(errors(&refused(&changed(from, to))), [format!("sidecar.toml:{wanted}")], "{to}");
    }
    for (from, to, wanted) in hints::WARNINGS {
        let warnings: Vec<_> = accepted(&changed(from, to)).warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings, [format!("sidecar.toml:{wanted}")], "{to}");
    }
    assert_eq!(accepted(&changed("[\"email\"]", "[\"$email\", \"{email}\", \"${email\"]")).warnings, []);
}

#[test]
fn all_problems_of_a_file_come_at_once_in_the_order_of_their_places() {
    let text = GOOD
        .replace("0.0.0.0:8080", "localhost:8080")
        .replace("[upstream]\n", "[upstream]\nread_timeout = 30\n")
        .replace("audiences", "audience")
        .replace("\"ES256\"", "\"none\", \"ES255\"")
        .replace("keys =", "leeway = \"10m\"\nkeys =")
        .replace("https://auth.example/jwks.json\"", "http://auth.example/jwks.json\", stale_limit = \"1m\"")
        + "[[public]]\npath = \"/healthz\"\nmethods = []\n[logs]\nlevel = \"info\"\n";
    let problems = refused(&text);
    let places: Vec<_> = problems
        .iter()
        .map(|problem| (problem.place.as_ref().map(|place| (place.line, place.column)).unwrap(), problem.key.as_str()))
        .collect();
    assert_eq!(
        places,
        [
            ((2, 11), "listen.address"),
            ((5, 16), "upstream.read_timeout"),
            ((13, 1), "issuers[0].audience"),
            ((14, 15), "issuers[0].algorithms[0]"),
            ((14, 23), "issuers[0].algorithms[1]"),
            ((15, 10), "issuers[0].leeway"),
            ((16, 16), "issuers[0].keys.url"),
            ((16, 63), "issuers[0].keys.stale_limit"),
            ((19, 11), "public[0].methods"),
            ((20, 2), "logs"),
        ],
        "{problems}"
    );
    assert_eq!(problems.errors(), 10);
}

#[test]
fn a_problem_shows_its_line_and_marks_its_place() {
    let problems = refused(&GOOD.replace("audiences", "audience"));
    let wanted = "\
sidecar.toml:12:1: error: issuers[0].audience: unknown key; did you mean \"audiences\"?
   |
12 | audience = [\"email\"]
   | ^^^^^^^^
";
    assert_eq!(problems.to_string(), wanted);
    assert_eq!(problems.iter().next().unwrap().to_string(), wanted.lines().next().unwrap());
}

#[test]
fn columns_count_characters() {
    let problems = refused(&GOOD.replace("[\"email\"]", "[\"\u{e9}\u{e9}\u{e9}\", \"\"]"));
    let place = problems.iter().next().and_then(|problem| problem.place.as_ref()).unwrap();
    assert_eq!((place.line, place.column, place.width), (12, 21, 2), "{problems}");
}

#[test]
fn no_control_character_reaches_the_terminal() {
    for (from, to) in [
        ("[\"email\"]", "[\"\"] # \u{1}\u{1b}[31m\u{9b}31m"),
        ("[\"email\"]", "[\"\\u001b[31m\"]"),
        ("\"ES256\"", "\"\\u001b[31m\""),
        ("\"0.0.0.0:8080\"", "\"\\u001b[31m\""),
        ("audiences", "\"\\u001b[31m\""),
        ("keys =", "\"\\u001b[31m\" = 1\nkeys ="),
        ("url = \"https://auth.example/jwks.json\"", "file = \"\\u001b[31m\""),
        ("https://auth.example/jwks.json", "\\u001b[31m"),
    ] {
        let text = refused(&changed(from, to)).to_string();
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    }
}

#[test]
fn syntax_errors_are_all_reported_and_nothing_is_concluded_from_what_follows_them() {
    let text = GOOD
        .replace("[upstream]", "refresh = \"1m\"\n[upstream]")
        .replace("\"127.0.0.1:3000\"", "127.0.0.1:3000")
        .replace("[admin]", "[admin")
        .replace("\"ES256\"", "\"none\"");
    let problems = refused(&text);
    let starts = [
        "sidecar.toml:4:1: error: listen.refresh: unknown key here; \"refresh\" belongs in issuers[].keys",
        "sidecar.toml:6:",
        "sidecar.toml:8:7: error: not valid TOML: unclosed table",
    ];
    let found = errors(&problems);
    assert_eq!(found.len(), starts.len(), "{problems}");
    for (found, start) in found.iter().zip(starts) {
        assert!(found.starts_with(start), "{found}");
    }
}

#[test]
fn a_damaged_file_is_accepted_or_refused_with_a_place_in_it() {
    let text = format!("{GOOD}required_claims = {{ \u{e9} = 1 }}\n[[public]]\npath = '/a'\nmethods = [\"GET\"]\n")
        .replace("\u{e9} =", "\"\u{e9}\" =");
    let ends: Vec<_> = text.char_indices().map(|(at, c)| (at, at + c.len_utf8())).step_by(2).collect();
    for (start, end) in ends {
        let variants = ["", "\"", "[", "\n", "\u{1f980}"];
        let damaged = variants.iter().map(|put| format!("{}{put}{}", &text[..start], &text[end..]));
        for damaged in damaged.chain([text[..start].to_owned()]) {
            let Err(problems) = load_str("sidecar.toml", &damaged, &base()) else { continue };
            assert!(problems.errors() > 0, "{damaged}");
            for problem in &problems {
                let place = problem.place.as_ref().unwrap();
                let line = damaged.split('\n').nth(place.line - 1).unwrap().trim_end_matches('\r');
                assert_eq!(place.text, line, "{damaged}\n{problem}");
                assert!(place.column <= line.chars().count() + 2, "{damaged}\n{problem}");
            }
        }
    }
}

#[test]
fn an_empty_file_learns_what_it_needs() {
    let problems = refused("");
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["listen", "upstream", "admin", "issuers"]);
    let adds: Vec<_> =
        ["[listen] with address", "[upstream] with address", "[admin] with address", "[[issuers]] with issuer = "]
            .into();
    for (problem, add) in problems.iter().zip(adds) {
        assert!(problem.message.contains(&format!("add {add}")), "{problem}");
    }
}

#[test]
fn an_empty_list_of_issuers_is_refused() {
    let (tables, _) = GOOD.split_once("[[issuers]]").unwrap();
    let problems = refused(&format!("issuers = []\n{tables}"));
    let wanted =
        "sidecar.toml:1:11: error: issuers: must not be empty; without a trusted issuer every request is refused";
    assert_eq!(errors(&problems), [wanted]);
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_with_advice() {
    let folder = folder("unreadable");
    let not_utf8 = folder.join("latin1.toml");
    fs::write(&not_utf8, b"[listen]\n# caf\xe9\n").unwrap();
    for (path, words) in [
        (folder.join("absent.toml"), "does not exist; name the configuration with --config"),
        (folder.clone(), "is a directory"),
        (not_utf8, "line 2 is not UTF-8"),
    ] {
        let problems = load(&path).unwrap_err();
        let text = problems.to_string();
        assert!(text.starts_with(&format!("{}: error: ", path.display())) && text.contains(words), "{text}");
    }
}

#[test]
fn a_certificate_that_vanishes_after_it_was_read_is_not_refused_without_an_error() {
    let folder = folder("vanishing");
    let made = rcgen::generate_simple_self_signed(["email".to_owned()]).unwrap();
    fs::write(folder.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
    let cert = folder.join("tls.crt");
    nix::unistd::mkfifo(&cert, nix::sys::stat::Mode::S_IRWXU).unwrap();
    // The pipe opens for writing once the other end is open for reading: from then on the path is gone.
    let writer = std::thread::spawn(move || {
        let mut pipe = fs::File::options().write(true).open(&cert).unwrap();
        fs::remove_file(&cert).unwrap();
        pipe.write_all(made.cert.pem().as_bytes()).unwrap();
    });
    let text = GOOD.replace("[upstream]", "tls = { cert = \"tls.crt\", key = \"tls.key\" }\n[upstream]");
    let result = load_str("sidecar.toml", &text, &folder);
    writer.join().unwrap();
    assert!(result.is_ok(), "{:?}", result.err().map(|problems| (problems.errors(), problems.to_string())));
}

#[test]
fn paths_in_the_file_start_at_its_directory() {
    let folder = folder("relative");
    let file = folder.join("sidecar.toml");
    fs::write(&file, GOOD.replace("url = \"https://auth.example/jwks.json\"", "file = \"keys.json\"")).unwrap();
    assert!(load(&file).unwrap_err().to_string().contains("keys.json\" does not exist"));
    fs::write(folder.join("keys.json"), include_str!("config/keys.json")).unwrap();
    let compiled = load(&file).unwrap();
    let issuer = compiled.issuers.iter().next().unwrap();
    assert_eq!(issuer.origin.location, Location::File(folder.join("keys.json")));
}

/// The directory of the files that the cases name.
fn base() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/command_line/config")
}

/// The good configuration with one spot changed. Without `from`, it is continued.
fn changed(from: &str, to: &str) -> String {
    if from.is_empty() {
        return format!("{GOOD}{to}");
    }
    assert_eq!(GOOD.matches(from).count(), 1, "{from:?} names one spot");
    GOOD.replace(from, to)
}

fn accepted(text: &str) -> Compiled {
    load_str("sidecar.toml", text, &base()).unwrap_or_else(|problems| panic!("{text}\n{problems}"))
}

fn refused(text: &str) -> Problems {
    load_str("sidecar.toml", text, &base()).expect_err(text)
}

fn errors(problems: &Problems) -> Vec<String> {
    problems.iter().filter(|problem| problem.severity == Severity::Error).map(ToString::to_string).collect()
}

/// A directory of its own, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("config").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}
