//! Rows S1 to S4, S8, S9 and S22: frames, headers and bodies that no honest client sends.

use std::io::{ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

use tests::wire::{
    API_VERSIONS, Answer, Bytes, CREATE_TOPICS, FETCH, LIST_OFFSETS, METADATA, PRODUCE, Wire,
    request,
};

use crate::fixture::{Fixture, GROWTH_MAX, is_foreign};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn s1_lengths_that_cannot_be_close_the_connection_and_cost_nothing() {
    let mut fixture = Fixture::start("s1");
    fixture.connect().ping().unwrap();
    let before = fixture.resident();
    let rows: [(&str, [u8; 4]); 5] = [
        ("largest", [0x7F, 0xFF, 0xFF, 0xFF]),
        ("negative", [0xFF, 0xFF, 0xFF, 0xFF]),
        ("most negative", [0x80, 0, 0, 0]),
        ("zero", [0, 0, 0, 0]),
        ("shorter than a header", [0, 0, 0, 3]),
    ];
    for (name, length) in rows {
        for _ in 0..100 {
            let mut wire = fixture.connect();
            // What follows a length that is short enough belongs to the frame.
            wire.send(&[&length[..], &[0; 3]].concat()).unwrap();
            assert!(wire.is_closed_within(SOON).unwrap(), "{name} was not closed");
        }
    }
    let grown = fixture.resident().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "grew by {grown} bytes");
    fixture.finish();
}

#[test]
fn s1_an_honest_length_reserves_nothing_before_its_bytes_arrive() {
    if is_foreign() {
        return;
    }
    let mut fixture = Fixture::start("s1-reserve");
    fixture.connect().ping().unwrap();
    let before = fixture.resident();
    let mut waiting = Vec::new();
    for _ in 0..200 {
        let mut wire = fixture.connect();
        wire.send(&(90_i32 << 20).to_be_bytes()).unwrap();
        wire.send(&[0, 0, 0, 7, 0, 0, 0, 1]).unwrap();
        waiting.push(wire);
    }
    // The broker is at it: a request after the others has been answered.
    fixture.connect().ping().unwrap();
    let grown = fixture.resident().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "grew by {grown} bytes");
    drop(waiting);
    fixture.finish();
}

#[test]
fn s2_other_protocols_are_closed_with_a_hint_in_the_log() {
    let fixture = Fixture::start("s2");
    let rows: [(&str, &[u8], &str); 3] = [
        ("TLS", &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03], "tls"),
        ("HTTP GET", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "http"),
        ("HTTP POST", b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", "http"),
    ];
    for (name, bytes, hint) in rows {
        let mut wire = fixture.connect();
        wire.send(bytes).unwrap();
        assert!(wire.is_closed_within(SOON).unwrap(), "{name} was not closed");
        if !is_foreign() {
            await_log(&fixture, hint);
        }
    }
    fixture.finish();
}

/// The log is written by a thread of its own: what is logged may come a moment later.
fn await_log(fixture: &Fixture, hint: &str) {
    let deadline = Instant::now() + SOON;
    while !fixture.log().to_lowercase().contains(hint) {
        assert!(Instant::now() < deadline, "nothing about {hint} in:\n{}", fixture.log());
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn s3_a_body_that_drips_is_cut_off_and_others_are_served() {
    if is_foreign() {
        return;
    }
    let fixture = Fixture::start_with("s3", "[limits]\nframe-ms = 2000\n");
    let mut drips: Vec<Wire> = (0..100).map(|_| fixture.connect()).collect();
    for wire in &mut drips {
        wire.send(&(1_i32 << 20).to_be_bytes()).unwrap();
    }
    let mut good = fixture.topic("good", &[]);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        for wire in &mut drips {
            // Some are closed by now.
            let _sent = wire.stream.write(&[0]);
        }
        let asked = Instant::now();
        good.ping().unwrap();
        assert!(asked.elapsed() < Duration::from_secs(1), "an honest client waited");
        thread::sleep(Duration::from_millis(100));
    }
    for wire in &mut drips {
        assert!(wire.is_closed_within(SOON).unwrap(), "a dripping connection was kept");
    }
    fixture.finish();
}

#[test]
fn s4_idle_connections_are_closed_and_busy_ones_are_not() {
    if is_foreign() {
        return;
    }
    let fixture = Fixture::start_with("s4", "[limits]\nidle-ms = 1000\n");
    let mut silent = fixture.connect();
    let mut once = fixture.connect();
    let mut busy = fixture.connect();
    once.ping().unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2_500) {
        busy.ping().unwrap();
        thread::sleep(Duration::from_millis(200));
    }
    assert!(silent.is_closed_within(SOON).unwrap(), "a silent connection was kept");
    assert!(once.is_closed_within(SOON).unwrap(), "a connection that fell silent was kept");
    busy.ping().unwrap();
    fixture.finish();
}

#[test]
fn s8_a_version_of_api_versions_that_is_unknown_is_answered_and_the_connection_kept() {
    let fixture = Fixture::start("s8-versions");
    let mut wire = fixture.connect();
    for version in [5, 99, i16::MAX] {
        if version == 5 {
            // Sent by the newest clients first; its body may be understood one day.
            wire.send(&request(API_VERSIONS, version, 40, &[1, 1, 0])).unwrap();
        } else {
            wire.send(&request(API_VERSIONS, version, 40, &[])).unwrap();
        }
        let mut answer = wire.answer().unwrap();
        assert_eq!(answer.i32().unwrap(), 40);
        assert_eq!(answer.i16().unwrap(), 35, "version {version}");
        // The body is of version 0: a count, then triples, ours among them.
        let count = answer.i32().unwrap();
        let found = (0..count)
            .any(|_| answer.i16().unwrap() == 18 && answer.i16().is_ok() | answer.i16().is_ok());
        assert!(found, "version {version}: ApiVersions is not in the list");
        wire.ping().unwrap();
    }
    fixture.finish();
}

#[test]
fn s8_unknown_apis_and_versions_close_the_connection_and_nothing_else() {
    let fixture = Fixture::start("s8");
    let rows = [
        ("unknown key", 9_999, 0),
        ("negative key", -5, 0),
        ("a key between brokers", 56, 0),
        ("a version too high", METADATA, 99),
        ("a negative version", METADATA, -1),
        ("a version too low", FETCH, 0),
    ];
    for (name, api, version) in rows {
        let mut wire = fixture.connect();
        wire.send(&request(api, version, 1, &[0; 64])).unwrap();
        assert!(wire.is_closed_within(SOON).unwrap(), "{name} was not closed");
    }
    fixture.finish();
}

#[test]
fn s8_every_version_that_is_advertised_is_answered() {
    let fixture = Fixture::start("s8-all");
    let mut wire = fixture.topic("here", &[]);
    let mut versions = wire.call(API_VERSIONS, 0, &Bytes::default()).unwrap();
    versions.i16().unwrap();
    let served: Vec<(i64, i64, i64)> = (0..versions.i32().unwrap())
        .map(|_| {
            let api = versions.i16().unwrap();
            (api, versions.i16().unwrap(), versions.i16().unwrap())
        })
        .collect();
    let mut asked = 0;
    for (api, least, most) in served {
        for version in least..=most {
            let (api, version) = (i16::try_from(api).unwrap(), i16::try_from(version).unwrap());
            let Some(body) = body_of(api, version) else { continue };
            let answer = wire.call(api, version, &body);
            assert!(answer.is_ok(), "api {api} version {version}: {answer:?}");
            asked += 1;
        }
    }
    assert!(asked > 20, "only {asked} versions were asked for");
    fixture.finish();
}

/// An honest request in the rigid versions of an API.
fn body_of(api: i16, version: i16) -> Option<Bytes> {
    let body = Bytes::default();
    match (api, version) {
        (METADATA, 0..=3) => Some(body.i32(1).text("here")),
        (METADATA, 4..=7) => Some(body.i32(1).text("here").i8(0)),
        (METADATA, 8) => Some(body.i32(1).text("here").i8(0).i8(0).i8(0)),
        (LIST_OFFSETS, 1..=5) => {
            let mut body = body.i32(-1);
            if version >= 2 {
                body = body.i8(0);
            }
            body = body.i32(1).text("here").i32(1).i32(0);
            if version >= 4 {
                body = body.i32(-1);
            }
            Some(body.i64(-1))
        }
        (FETCH, 4..=11) => Some(fetch_body(version)),
        (PRODUCE, 3..=8) => Some(tests::wire::produce_body("here", 0, &honest())),
        (CREATE_TOPICS, 2..=4) => {
            let name = format!("made-{version}");
            Some(body.i32(1).text(&name).i32(1).i16(1).i32(0).i32(0).i32(5_000).i8(0))
        }
        _ => None,
    }
}

fn fetch_body(version: i16) -> Bytes {
    let mut body = Bytes::default().i32(-1).i32(10).i32(1).i32(1 << 20).i8(0);
    if version >= 7 {
        body = body.i32(0).i32(-1);
    }
    body = body.i32(1).text("here").i32(1).i32(0);
    if version >= 9 {
        body = body.i32(-1);
    }
    body = body.i64(0);
    if version >= 5 {
        body = body.i64(-1);
    }
    body = body.i32(1 << 20);
    if version >= 7 {
        body = body.i32(0);
    }
    if version >= 11 {
        body = body.text("");
    }
    body
}

fn honest() -> Vec<u8> {
    tests::batch::batch(&[tests::batch::record(0, b"k", b"v")], crate::fixture::now_ms())
}

#[test]
fn s9_counts_that_the_frame_cannot_hold_are_refused_before_memory_is_reserved() {
    let mut fixture = Fixture::start("s9");
    fixture.connect().ping().unwrap();
    let before = fixture.resident();
    let huge = 0x7FFF_FFFF;
    let plain = Bytes::default;
    let rows: Vec<(&str, i16, i16, Bytes)> = vec![
        ("metadata topics", METADATA, 4, plain().i32(huge)),
        ("metadata topics, compact", METADATA, 9, plain().raw(&[0xFF, 0xFF, 0xFF, 0xFF, 0x07])),
        ("a string longer than the frame", METADATA, 4, plain().i32(1).i16(0x7FFF)),
        ("a negative string", METADATA, 4, plain().i32(1).i16(-7).i8(0)),
        ("produce topics", PRODUCE, 7, plain().no_text().i16(-1).i32(0).i32(huge)),
        (
            "produce partitions",
            PRODUCE,
            7,
            plain().no_text().i16(-1).i32(0).i32(1).text("t").i32(huge),
        ),
        (
            "produce records",
            PRODUCE,
            7,
            plain().no_text().i16(-1).i32(0).i32(1).text("t").i32(1).i32(0).i32(huge),
        ),
        ("fetch topics", FETCH, 4, plain().i32(-1).i32(0).i32(0).i32(0).i8(0).i32(huge)),
        ("list offsets topics", LIST_OFFSETS, 1, plain().i32(-1).i32(huge)),
        ("create topics", CREATE_TOPICS, 4, plain().i32(huge)),
        (
            "create topics assignments",
            CREATE_TOPICS,
            4,
            plain().i32(1).text("t").i32(1).i16(1).i32(huge),
        ),
        (
            "tagged fields",
            METADATA,
            9,
            plain().raw(&[0x00, 0x01, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0x07]),
        ),
        ("a number that never ends", METADATA, 9, plain().raw(&[0xFF; 16])),
    ];
    for (name, api, version, body) in rows {
        for _ in 0..20 {
            let mut wire = fixture.connect();
            wire.send(&request(api, version, 1, &body.0)).unwrap();
            // Either the connection ends or the request is answered with an error; it never hangs.
            let answered: std::io::Result<Answer> = wire.answer();
            if let Err(error) = answered {
                let ended = matches!(
                    error.kind(),
                    ErrorKind::UnexpectedEof
                        | ErrorKind::ConnectionReset
                        | ErrorKind::ConnectionAborted
                );
                assert!(ended, "{name}: {error}");
            }
        }
    }
    let grown = fixture.resident().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "grew by {grown} bytes");
    fixture.finish();
}

#[test]
fn s22_who_does_not_read_is_not_read_from() {
    let mut fixture = Fixture::start("s22");
    let mut good = fixture.topic("wide", &[]);
    good.ping().unwrap();
    let before = fixture.resident();
    let mut greedy = fixture.connect();
    greedy.stream.set_write_timeout(Some(Duration::from_secs(3))).unwrap();
    let every_topic = request(METADATA, 4, 1, &Bytes::default().i32(-1).i8(0).0);
    let burst = every_topic.repeat(1_000);
    // Sockets hold some megabytes; then the broker must stop taking more.
    let mut stopped = false;
    for _ in 0..20_000 {
        if greedy.stream.write(&burst).is_err() {
            stopped = true;
            break;
        }
    }
    assert!(stopped, "the broker took everything and owes all the answers");
    let grown = fixture.resident().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "grew by {grown} bytes");
    good.ping().unwrap();
    drop(greedy);
    fixture.finish();
}
