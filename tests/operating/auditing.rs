//! The audit in trouble: a full disk, a closed output, a blocked pipe. Requests go on, and what is lost is never lost unnoticed.

use std::fs::OpenOptions;
use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::samples::{sample, wait_for_sample};
use testkit::email_service::EmailService;
use testkit::http::PATIENCE;
use testkit::issuer::Issuer;
use testkit::process::Process;
use testkit::refusal::request_id;
use testkit::request::Request;
use testkit::setup::{AUDIENCE, Setup};
use testkit::sidecar::Sidecar;
use testkit::stage::{Stage, binary};

/// Everything but the sidecar, and a token.
fn around() -> (Issuer, EmailService, String) {
    let (issuer, email) = (Issuer::start("https://auth.internal.example"), EmailService::start());
    let token = issuer.mint(&issuer.claims("billing", AUDIENCE));
    (issuer, email, token)
}

fn lost(sidecar: &Sidecar) -> f64 {
    ["queue_full", "write_failed"]
        .iter()
        .map(|cause| sample(sidecar, "callgate_audit_lost_total", &[cause]).expect("it is there from the start"))
        .sum()
}

/// Sends so many requests, one after the other, each on a connection of its own.
fn ask(sidecar: &Sidecar, token: &str, count: usize) {
    for _ in 0..count {
        let answer = sidecar.connect().exchange(Request::send().bearer(token).bytes()).unwrap();
        assert_eq!(answer.status(), 202);
    }
}

#[test]
fn full_disk_stops_no_request_and_every_lost_record_is_counted() {
    let (issuer, email, token) = around();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let config = Setup::before(email.address()).trusting(&issuer).toml();
    let sidecar = Sidecar::start_writing_to(full.into(), binary(), &config).unwrap();
    sidecar.wait_for_readiness(200).unwrap();
    ask(&sidecar, &token, 20);
    wait_for_sample(&sidecar, "callgate_audit_lost_total", &["write_failed"], |lost| lost > 19.5);
    assert_eq!(lost(&sidecar), 20.0, "each of them once");
    let ended = sidecar.stop();
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stderr.matches("Audit records are lost: they cannot be written.").count(), 1, "{}", ended.stderr);
}

#[test]
fn closed_output_stops_no_request_and_every_lost_record_is_counted() {
    let (issuer, email, token) = around();
    let config = Setup::before(email.address()).trusting(&issuer).toml();
    // From the start: the shell closes it.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sidecar.toml");
    std::fs::write(&file, &config).unwrap();
    let callgate = binary().as_os_str();
    let arguments = ["-c".as_ref(), "exec \"$0\" \"$@\" >&-".as_ref(), callgate, "run".as_ref(), "--config".as_ref()];
    let process = Process::start("/bin/sh".as_ref(), &[&arguments[..], &[file.as_ref()]].concat()).unwrap();
    let closed = Sidecar::wait_until_listening(process, directory, &config).unwrap();
    // Later: the reader of the pipe goes away.
    let (reader, writer) = std::io::pipe().unwrap();
    let broken = Sidecar::start_writing_to(writer.into(), binary(), &config).unwrap();
    drop(reader);
    for sidecar in [closed, broken] {
        sidecar.wait_for_readiness(200).unwrap();
        ask(&sidecar, &token, 5);
        wait_for_sample(&sidecar, "callgate_audit_lost_total", &["write_failed"], |lost| lost > 4.5);
        assert_eq!(lost(&sidecar), 5.0);
        let ended = sidecar.stop();
        assert_eq!(ended.code, Some(0));
        assert!(ended.stderr.contains("Audit records are lost"), "{}", ended.stderr);
    }
}

/// A pipe that nobody reads, full from the start but for less than one record.
fn blocked_pipe() -> (std::io::PipeReader, Stdio, usize) {
    use std::io::Write as _;
    let (reader, mut writer) = std::io::pipe().unwrap();
    let filled = 65_536;
    writer.write_all(&vec![b'\n'; filled]).unwrap();
    (reader, writer.into(), filled)
}

/// Reads the records behind the filling, up to the end.
fn records(mut reader: std::io::PipeReader, filled: usize) -> Vec<Value> {
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    text[filled..].lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn blocked_pipe_holds_requests_back_at_their_end_until_there_is_room_again() {
    let (issuer, email, token) = around();
    let (reader, stdout, filled) = blocked_pipe();
    let setup = Setup::before(email.address()).trusting(&issuer).with("[audit]\nqueue = 2");
    let sidecar = Sidecar::start_writing_to(stdout, binary(), &setup.toml()).unwrap();
    sidecar.wait_for_readiness(200).unwrap();
    // They are answered; what waits is the end of those for which there is no place: one to three are written in one go, two wait in the queue.
    ask(&sidecar, &token, 8);
    wait_for_sample(&sidecar, "callgate_requests_in_flight", &[], |value| value > 2.5);
    assert_eq!(lost(&sidecar), 0.0);
    let reading = std::thread::spawn(move || records(reader, filled));
    wait_for_sample(&sidecar, "callgate_audit_records_total", &[], |written| written > 7.5);
    assert_eq!(lost(&sidecar), 0.0);
    assert_eq!(sidecar.stop().code, Some(0));
    assert_eq!(reading.join().unwrap().len(), 8, "none is lost");
}

#[test]
fn blocked_pipe_holds_back_streams_of_http2_before_they_pile_up() {
    let (issuer, email, token) = around();
    let (reader, stdout, filled) = blocked_pipe();
    let setup = Setup::before(email.address()).trusting(&issuer).with("[audit]\nqueue = 2");
    let sidecar = Sidecar::start_writing_to(stdout, binary(), &setup.toml()).unwrap();
    sidecar.wait_for_readiness(200).unwrap();
    // Refused requests, one after the other is answered, until no more are taken.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (count, held) = (1000, Duration::from_secs(1));
    let answered = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(sidecar.listen()).await.unwrap();
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut answered = 0;
        while answered < count {
            let request = http::Request::get("http://email/send").body(()).unwrap();
            client = client.ready().await.unwrap();
            let (answer, _) = client.send_request(request, true).unwrap();
            match tokio::time::timeout(held, answer).await {
                Ok(answer) => assert_eq!(answer.unwrap().status(), 401),
                Err(_) => break,
            }
            answered += 1;
        }
        answered
    });
    assert!(answered < 20, "{answered} requests have ended and wait for the audit");
    let reading = std::thread::spawn(move || records(reader, filled));
    wait_for_sample(&sidecar, "callgate_audit_records_total", &[], |written| written > f64::from(answered) - 0.5);
    assert_eq!(sidecar.connect().exchange(Request::send().bearer(&token).bytes()).unwrap().status(), 202);
    assert_eq!(lost(&sidecar), 0.0);
    assert_eq!(sidecar.stop().code, Some(0));
    assert!(reading.join().unwrap().len() as i32 > answered, "none is lost");
}

#[test]
fn blocked_pipe_drops_records_by_choice_and_the_audit_tells_how_many() {
    let (issuer, email, token) = around();
    let (reader, stdout, filled) = blocked_pipe();
    let setup = Setup::before(email.address()).trusting(&issuer).with("[audit]\nqueue = 2\nwhen_full = \"drop\"");
    let sidecar = Sidecar::start_writing_to(stdout, binary(), &setup.toml()).unwrap();
    sidecar.wait_for_readiness(200).unwrap();
    ask(&sidecar, &token, 20);
    wait_for_sample(&sidecar, "callgate_requests_in_flight", &[], |value| value < 0.5);
    let dropped = lost(&sidecar);
    assert!((15.0..=18.0).contains(&dropped), "{dropped}");
    let reading = std::thread::spawn(move || records(reader, filled));
    wait_for_sample(&sidecar, "callgate_audit_queued_records", &[], |waiting| waiting < 0.5);
    ask(&sidecar, &token, 1);
    assert_eq!(sidecar.stop().code, Some(0));
    let records = reading.join().unwrap();
    let told: u64 =
        records.iter().filter(|record| record["event"] == "lost").filter_map(|r| r["records"].as_u64()).sum();
    let written = records.iter().filter(|record| record["event"] == "request").count();
    assert_eq!(told as f64, dropped, "{records:#?}");
    assert_eq!(told as usize + written, 21, "every request is a record or told to be lost");
}

#[test]
fn pipe_that_stays_blocked_does_not_hold_the_end_back_for_long() {
    let (issuer, email, token) = around();
    let (reader, stdout, _) = blocked_pipe();
    let config = Setup::before(email.address()).trusting(&issuer).toml();
    let sidecar = Sidecar::start_writing_to(stdout, binary(), &config).unwrap();
    sidecar.wait_for_readiness(200).unwrap();
    ask(&sidecar, &token, 3);
    let ended = sidecar.stop();
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("Audit records are lost at the end"), "{}", ended.stderr);
    assert!(ended.stderr.contains("\"records\":3"), "{}", ended.stderr);
    drop(reader);
}

#[test]
fn audit_goes_to_a_file_and_follows_it_when_it_is_moved() {
    let (issuer, email, token) = around();
    let directory = tempfile::tempdir().unwrap();
    let (file, moved) = (directory.path().join("audit.log"), directory.path().join("audit.log.1"));
    let setup = Setup::before(email.address()).trusting(&issuer);
    let sidecar = Sidecar::start(binary(), &setup.with(&format!("[audit]\nfile = {file:?}")).toml()).unwrap();
    sidecar.wait_for_readiness(200).unwrap();
    ask(&sidecar, &token, 1);
    wait_for_sample(&sidecar, "callgate_audit_records_total", &[], |written| written > 0.5);
    std::fs::rename(&file, &moved).unwrap();
    let end = std::time::Instant::now() + PATIENCE;
    let mut asked = 1;
    while !file.exists() {
        assert!(std::time::Instant::now() < end, "the file is made anew");
        ask(&sidecar, &token, 1);
        asked += 1;
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let ended = sidecar.stop();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
    let lines = |path| std::fs::read_to_string(path).unwrap().lines().count();
    assert_eq!(lines(&file) + lines(&moved), asked);
    assert!(lines(&moved) >= 1);
}

#[test]
fn records_keep_to_the_published_schema_and_name_request_and_trace() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/audit.schema.json");
    let schema = callgate::audit::record::schema();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, format!("{schema:#}\n")).unwrap();
    }
    let published: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(published, schema, "UPDATE_SCHEMA=1 cargo test --test operating writes docs/audit.schema.json anew");

    let stage = Stage::set();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traced = Request::send().header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"));
    stage.ask(&traced.clone().bearer(&stage.token()));
    assert_eq!(stage.audit(0)["trace_id"], trace);
    assert_eq!(
        stage.email.latest().unwrap().head.header("traceparent"),
        Some(&*format!("00-{trace}-00f067aa0ba902b7-01"))
    );
    stage.ask(&Request::send().header("traceparent", "nonsense"));
    assert_eq!(stage.audit(1)["trace_id"], Value::Null);
    stage.ask(&Request::new("GET", "/healthz").bearer("a.b.c"));
    stage.ask(&Request::send().bearer(&stage.token_but("jti", json!("7d1c"))));
    stage.audit(3);
    let validator = jsonschema::draft202012::new(&published).unwrap();
    let records = stage.sidecar.audit_so_far();
    for line in &records {
        let record: Value = serde_json::from_str(line).unwrap();
        let errors: Vec<_> = validator.iter_errors(&record).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}\n{line}");
        // It refuses what is not in it, and what is not of its kind.
        let mut other = record.clone();
        other["token"] = "a.b.c".into();
        assert!(!validator.is_valid(&other));
        let mut other = record;
        other["status"] = "200".into();
        assert!(!validator.is_valid(&other));
    }
    assert_eq!(records.len(), 4);
    stage.end();
}

#[test]
fn a_refused_request_is_recorded_with_the_caller_that_its_token_claims() {
    let stage = Stage::set();
    let recorded = |token: &str| {
        let refused = stage.ask(&Request::send().bearer(token));
        assert_eq!(refused.status(), 401, "{}", refused.text());
        stage.sidecar.audit_for(&request_id(&refused)).expect("a record")
    };
    let of = |sub: Value| {
        let mut claims = stage.claims();
        (claims["exp"], claims["sub"]) = (json!(1), sub);
        recorded(&stage.issuer.mint(&claims))
    };
    let record = of(json!("orders"));
    assert_eq!((&record["decision"], &record["reason"]), (&json!("reject"), &json!("token_expired")));
    assert_eq!((&record["claimed_caller"], &record["caller"]), (&json!("orders"), &Value::Null));
    // Anybody's words: bounded and clean, and nothing if there are none.
    assert_eq!(of(json!("x".repeat(1000)))["claimed_caller"].as_str().map(str::len), Some(64));
    assert_eq!(of(json!("a\"b\\c\n\u{e9}"))["claimed_caller"], "a?b?c??");
    assert_eq!(of(json!(5))["claimed_caller"], Value::Null);
    assert_eq!(recorded("open-sesame")["claimed_caller"], Value::Null);
    stage.assert_nothing_received();
    assert_eq!(stage.ask(&Request::send().bearer(&stage.token())).status(), 202);
    let accepted = stage.sidecar.audit_where(|record| record["decision"] == "forward").expect("a record");
    assert_eq!((&accepted["caller"], &accepted["claimed_caller"]), (&json!("billing"), &Value::Null));
    stage.end();
}

#[test]
fn trusted_proxies_say_where_a_request_came_from_and_strangers_do_not() {
    let ask = |stage: &Stage| {
        let forwarded = Request::send().header("X-Forwarded-For", "203.0.113.9, 198.51.100.7");
        assert_eq!(stage.ask(&forwarded.header("X-Forwarded-For", "10.0.0.5").bearer(&stage.token())).status(), 202);
        stage.audit(0)
    };
    let trusting = Stage::set_with(|setup| setup.with("[forwarding]\ntrusted_hops = 2"));
    let record = ask(&trusting);
    assert_eq!(record["forwarded_for"], "198.51.100.7", "the first that the two added: {record}");
    assert!(record["client"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(trusting.ask(&Request::send()).status(), 401);
    assert!(trusting.audit(1).get("forwarded_for").is_none(), "nobody said it");
    trusting.end();

    let plain = Stage::set();
    assert!(ask(&plain).get("forwarded_for").is_none(), "a client could have written it");
    plain.end();
}
