//! What 0.1 was given and what it wrote still works: its `sidecar.toml`, its key snapshot, the readers of its audit, and those who
//! scrape it. The files of 0.1 are beside this one and do not change; what a later version gives up on purpose is said in CHANGELOG.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use callgate::config::load_str;
use serde_json::{Value, json};

use testkit::email_service::EmailService;
use testkit::issuer::{Issuer, now};
use testkit::request::Request;
use testkit::setup::{AUDIENCE, Setup};
use testkit::stage::{Stage, start};

fn file_of_0_1(name: &str) -> String {
    let path = root().join("tests/operating/files-of-0.1").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

#[test]
fn every_key_of_0_1_is_still_accepted() {
    let text = file_of_0_1("every-key.toml");
    let compiled = load_str("sidecar.toml", &text, &root()).unwrap_or_else(|problems| panic!("{problems}"));
    let warnings: Vec<_> = compiled.warnings.iter().map(|warning| warning.key.as_str()).collect();
    assert_eq!(warnings, ["public[0].path", "report[0].path"], "no key of 0.1 is warned of");
    // The refusal beside it: a key that 0.1 had not is none.
    assert!(load_str("sidecar.toml", &format!("{text}\n[future]\nkey = 1\n"), &root()).is_err());
}

#[test]
fn keys_that_0_1_has_kept_on_disk_serve_while_the_issuer_is_down() {
    let (issuer, email) = (Issuer::start("https://auth.internal.example"), EmailService::start());
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    fs::DirBuilder::new().mode(0o700).create(&cache).unwrap();
    let location = issuer.jwks_url();
    // As 0.1 named and wrote it.
    let name = digest(&SHA256, format!("{}\n{location}", issuer.name()).as_bytes());
    let name: String = name.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let heading = json!({
        "callgate_key_snapshot": 1, "issuer": issuer.name(), "location": location, "confirmed": now() - 60,
    });
    let path = cache.join(format!("{name}.keys"));
    fs::write(&path, format!("{heading}\n{}", issuer.jwks())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    issuer.go_down();

    let setup = |directory: &Path| {
        let kept = format!("[keys]\nsnapshot_dir = \"{}\"\n[limits]\nkey_wait = \"100ms\"", directory.display());
        Setup::before(email.address()).trusting(&issuer).with(&kept)
    };
    let request = Request::send().bearer(&issuer.mint(&issuer.claims("billing", AUDIENCE)));
    let ask = |directory: &Path| {
        let sidecar = start(&setup(directory));
        sidecar.connect().exchange(request.bytes()).unwrap().status()
    };
    assert_eq!(ask(&cache), 202);
    assert_eq!(ask(&directory.path().join("another")), 503, "without it, there are no keys");
    // In another format it is not taken for one.
    fs::write(&path, format!("{}\n{}", heading.to_string().replace(":1,", ":2,"), issuer.jwks())).unwrap();
    assert_eq!(ask(&cache), 503);
}

#[test]
fn who_reads_the_audit_as_0_1_wrote_it_still_finds_every_field() {
    let before: Value = serde_json::from_str(&file_of_0_1("audit.schema.json")).unwrap();
    let now = fs::read_to_string(root().join("docs/audit.schema.json")).unwrap();
    let now: Value = serde_json::from_str(&now).unwrap();
    let types = |schema: &Value| -> BTreeSet<String> {
        let some = |value: &Value| value.as_str().map(str::to_owned);
        let list = schema.as_array().map(|types| types.iter().filter_map(some).collect());
        list.unwrap_or_else(|| some(schema).into_iter().collect())
    };
    for (name, field) in before["properties"].as_object().unwrap() {
        let found = &now["properties"][name];
        assert!(found.is_object(), "{name} is gone");
        assert!(types(&found["type"]).is_subset(&types(&field["type"])), "{name} has another type: {found}");
    }
    let required = |schema: &Value| types(&schema["required"]);
    assert!(required(&before).is_subset(&required(&now)), "a field that was always there is not");

    // What is written now is what a reader of 0.1 takes, but for fields that came later.
    let stage = Stage::set();
    assert_eq!(stage.ask(&Request::send().bearer(&stage.token())).status(), 202);
    assert_eq!(stage.ask(&Request::send()).status(), 401);
    let validator = jsonschema::validator_for(&before).unwrap();
    for n in 0..2 {
        let mut record = stage.audit(n);
        record.as_object_mut().unwrap().retain(|name, _| !before["properties"][name].is_null());
        let wrong: Vec<_> = validator.iter_errors(&record).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{wrong:?} in {record}");
    }
    stage.end();
}

#[test]
fn every_metric_of_0_1_is_still_there_with_its_type_and_labels() {
    let stage = Stage::set();
    assert_eq!(stage.ask(&Request::send().bearer(&stage.token())).status(), 202);
    assert_eq!(stage.ask(&Request::send()).status(), 401);
    assert!(stage.sidecar.audit(1).is_some(), "both are counted");
    let scrape = stage.sidecar.ask_admin("/metrics").text();
    let listed = file_of_0_1("metrics.txt");
    assert!(listed.lines().count() >= 40);
    for line in listed.lines() {
        let mut words = line.split(' ');
        let (name, kind) = (words.next().unwrap(), words.next().unwrap());
        assert!(scrape.contains(&format!("# TYPE {name} {kind}\n")), "{name} is no {kind} any more");
        let samples: Vec<_> = scrape.lines().filter(|line| line.starts_with(name) && line.contains('{')).collect();
        for label in words.filter(|_| !samples.is_empty()) {
            assert!(samples.iter().any(|sample| sample.contains(&format!("{label}=\""))), "{name} has lost {label}");
        }
    }
    stage.end();
}
