//! A refusal in frames waits for nobody and holds nothing: neither a place, nor the head that was refused, nor a stream.

use std::time::{Duration, Instant};

use crate::frames::{
    CANCEL, Client, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, RST_STREAM,
    block, request, status,
};
use testkit::request::Request;
use testkit::stage::Stage;

#[test]
fn a_refusal_that_the_window_does_not_take_is_reset_within_a_second_and_holds_no_place() {
    let stage = Stage::set_with(|setup| setup.with("[limits]\nrequests = 4"));
    let mut client = Client::connect(stage.sidecar.listen(), &[(INITIAL_WINDOW_SIZE, 0)]);
    let began = Instant::now();
    let streams = [1, 3, 5, 7, 9, 11, 13, 15];
    for stream in streams {
        client.send(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", "/", &[])).unwrap();
    }
    for stream in streams {
        let head = client.read_until(HEADERS).unwrap();
        assert_eq!((status(&head.payload).as_str(), head.ends_stream()), ("401", false), "{stream}");
        let audit = stage.audit(usize::try_from(stream).unwrap() / 2);
        assert_eq!((&audit["reason"], &audit["status"]), (&"token_missing".into(), &401.into()));
    }
    // Their places are free before they are read.
    let answer = stage.ask(&Request::send().bearer(&stage.token()));
    assert_eq!(answer.status(), 202);
    for _ in streams {
        let reset = client.read_until(RST_STREAM).unwrap();
        assert_eq!(reset.code(), CANCEL);
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    // The connection serves on: a client that reads is answered.
    let more = request("POST", "/send", &[("authorization", &format!("Bearer {}", stage.token()))]);
    client.send(HEADERS, END_HEADERS | END_STREAM, 17, &more).unwrap();
    assert_eq!(client.read_answer(), Some((17, "202".to_owned())));
    drop(client);
    stage.end();
}

#[test]
fn a_refusal_that_the_window_takes_is_whole() {
    let stage = Stage::set();
    let mut client = Client::connect(stage.sidecar.listen(), &[]);
    client.send(HEADERS, END_HEADERS, 1, &request("POST", "/", &[])).unwrap();
    assert_eq!(client.read_answer(), Some((1, "401".to_owned())));
    let body = client.read_until(DATA).unwrap();
    assert!(body.ends_stream());
    let problem: serde_json::Value = serde_json::from_slice(&body.payload).unwrap();
    assert_eq!(problem["reason"], "token_missing");
    let audit = stage.audit(0);
    assert_eq!(audit["response_bytes"], body.payload.len());
    stage.assert_nothing_received();
    stage.end();
}

#[test]
fn a_client_that_reads_no_refusals_is_told_to_go_away() {
    let stage = Stage::set();
    let mut client = Client::connect(stage.sidecar.listen(), &[(INITIAL_WINDOW_SIZE, 0)]);
    for n in 0..40 {
        let sent = client.send(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &request("GET", "/", &[]));
        if sent.is_err() {
            break;
        }
    }
    let goodbye = client.read_until(GOAWAY).unwrap();
    assert_eq!(goodbye.code(), ENHANCE_YOUR_CALM);
    while client.read().is_some() {}
    // Others are served.
    assert_eq!(stage.ask(&Request::send().bearer(&stage.token())).status(), 202);
    stage.end();
}

#[test]
fn a_refused_request_whose_client_has_left_keeps_its_reason() {
    let stage = Stage::set();
    for n in 0..20 {
        let mut client = Client::connect(stage.sidecar.listen(), &[]);
        let cut = [
            crate::frames::frame(HEADERS, END_HEADERS, 1, &request("POST", "/", &[])),
            crate::frames::frame(RST_STREAM, 0, 1, &CANCEL.to_be_bytes()),
            // Whatever came before it has been read when this one is answered.
            crate::frames::frame(HEADERS, END_HEADERS | END_STREAM, 3, &request("GET", "/after", &[])),
        ];
        client.send_bytes(&cut.concat()).unwrap();
        while client.read_answer().unwrap().0 != 3 {}
        let record = stage.sidecar.audit_where(|record| record["path"] == "/after").unwrap();
        assert_eq!(record["reason"], "token_missing", "{n}");
    }
    for record in stage.sidecar.audit_so_far() {
        assert!(record.contains("token_missing"), "{record}");
    }
    stage.end();
}

/// A block that stands for 980 fields.
fn bomb(first: bool) -> Vec<u8> {
    let mut bomb = request("GET", "/", &[]);
    if first {
        // A literal that is indexed (RFC 7541 §6.2.1) is entry 62 of the table.
        bomb.extend([0x40, 1, b'x', 0]);
    }
    bomb.extend([0x80 | 62; 980]);
    bomb
}

fn resident_kib(stage: &Stage) -> u64 {
    let process = stage.sidecar.process().pid();
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn heads_that_decode_to_many_fields_are_refused_and_take_no_memory() {
    let stage = Stage::set();
    let before = resident_kib(&stage);
    let mut clients: Vec<_> =
        (0..12).map(|_| Client::connect(stage.sidecar.listen(), &[(INITIAL_WINDOW_SIZE, 0)])).collect();
    for client in &mut clients {
        for n in 0..100 {
            // A client that is told to go away need not hear of it at once.
            let _ = client.send(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &bomb(n == 0));
        }
    }
    for client in &mut clients {
        let (_, status) = client.read_answer().unwrap();
        assert_eq!(status, "431");
        assert_eq!(client.read_until(GOAWAY).unwrap().code(), ENHANCE_YOUR_CALM);
    }
    let after = resident_kib(&stage);
    assert!(after < before + 40 * 1024, "{before} KiB before, {after} KiB after");
    assert_eq!(stage.audit(0)["reason"], "head_too_large");
    assert_eq!(stage.ask(&Request::send().bearer(&stage.token())).status(), 202);
    stage.end();
}

#[test]
fn trailers_that_decode_to_many_fields_end_their_request_only() {
    let stage = Stage::set();
    let mut client = Client::connect(stage.sidecar.listen(), &[]);
    let bearer = format!("Bearer {}", stage.token());
    client.send(HEADERS, END_HEADERS, 1, &request("POST", "/send", &[("authorization", &bearer)])).unwrap();
    client.send(DATA, 0, 1, b"{}").unwrap();
    client.send(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[("x-sum", "1")])).unwrap();
    assert_eq!(client.read_answer(), Some((1, "202".to_owned())));
    let received = stage.only_received();
    assert_eq!((received.body.as_slice(), received.head.header("x-sum")), (&b"{}"[..], None));
    stage.end();
}
