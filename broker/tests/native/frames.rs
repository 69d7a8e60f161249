//! Greetings, and frames that should not be.

use protocol::ErrorCode;
use protocol::native::{ENTRIES_MAX, FRAME_BYTES_MAX, Kind, fetch, hello, metadata, producer};

use super::peer::{Peer, frame, greeting, part, refusal, seal};
use super::serving;

#[test]
fn a_hello_tells_who_answers() {
    let mut peer = Peer::stranger();
    let cluster_id = &serving().cluster_id;
    let answer = peer.ask(&[], |id, encoder| greeting(Some(cluster_id)).encode(id, encoder));
    let frame = frame(&answer);
    let hello = hello::Answer::read(&frame).unwrap();
    assert_eq!((hello.version, hello.cluster_id, hello.broker_id), (1, &**cluster_id, 1));
    assert_eq!((hello.lanes, hello.frame_bytes_max as usize), (2, FRAME_BYTES_MAX));
    assert!(!cluster_id.is_empty() && hello.lane < 2);
}

#[test]
fn a_hello_that_is_refused_greets_nobody() {
    let mut peer = Peer::stranger();
    let answer = peer.ask(&[], |id, encoder| greeting(Some("elsewhere")).encode(id, encoder));
    assert_eq!(refusal(&answer), ErrorCode::InconsistentClusterId);
    let newer = hello::Request { version_min: 2, version_max: 9, ..greeting(None) };
    let answer = peer.ask(&[], |id, encoder| newer.encode(id, encoder));
    assert_eq!(refusal(&answer), ErrorCode::UnsupportedVersion);
    let backwards = hello::Request { version_min: 3, version_max: 1, ..greeting(None) };
    let answer = peer.ask(&[], |id, encoder| backwards.encode(id, encoder));
    assert_eq!(refusal(&answer), ErrorCode::InvalidRequest);

    let cluster = metadata::Request::cluster();
    let answer = peer.ask(&[], |id, encoder| cluster.encode(id, encoder));
    assert_eq!(refusal(&answer), ErrorCode::InvalidRequest);
    let answer = peer.ask(&[], |id, encoder| greeting(None).encode(id, encoder));
    assert_eq!(frame(&answer).kind(), Kind::Hello);
    let answer = peer.ask(&[], |id, encoder| cluster.encode(id, encoder));
    assert_eq!(frame(&answer).kind(), Kind::Metadata);
    let answer = peer.ask(&[], |id, encoder| greeting(None).encode(id, encoder));
    assert_eq!(refusal(&answer), ErrorCode::InvalidRequest);
}

#[test]
fn an_unknown_kind_is_answered_and_the_connection_goes_on() {
    let mut peer = Peer::greeted();
    let cluster = metadata::Request::cluster();
    for kind in [2_u16, 64, 199, u16::MAX] {
        let mut bytes = peer.encode(|id, encoder| cluster.encode(id, encoder));
        bytes[4..6].copy_from_slice(&kind.to_le_bytes());
        seal(&mut bytes);
        peer.send_raw(&bytes);
        assert_eq!(refusal(&peer.receive()), ErrorCode::UnsupportedVersion);
    }
    let answer = peer.ask(&[], |id, encoder| cluster.encode(id, encoder));
    assert_eq!(frame(&answer).kind(), Kind::Metadata);
}

#[test]
fn a_field_that_cannot_be_is_answered_and_the_connection_goes_on() {
    let mut peer = Peer::greeted();
    // Bytes behind a header that has no payload.
    let cluster = metadata::Request::cluster();
    let mut bytes = peer.encode(|id, encoder| cluster.encode(id, encoder));
    bytes.extend([7; 16]);
    let length = u32::try_from(bytes.len()).unwrap();
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    seal(&mut bytes);
    peer.send_raw(&bytes);
    assert_eq!(refusal(&peer.receive()), ErrorCode::InvalidRequest);
    // More entries than a request may have.
    let partition = part(protocol::TopicId::new([9; 16]), 0);
    let entry = fetch::Entry { partition, leader_epoch: -1, offset: 0, bytes_max: 1 };
    let entries = vec![entry; ENTRIES_MAX + 1];
    let request = fetch::Request {
        wait_ms_max: 0,
        bytes_min: 0,
        bytes_max: 1,
        read_committed: false,
        rack: "",
        entries: &entries,
    };
    let answer = peer.ask(&[], |id, encoder| request.encode(id, encoder));
    assert_eq!(refusal(&answer), ErrorCode::InvalidRequest);
    let answer = peer.ask(&[], |id, encoder| cluster.encode(id, encoder));
    assert_eq!(frame(&answer).kind(), Kind::Metadata);
}

/// Turns a good frame into a bad one.
type Spoil = fn(&mut Vec<u8>);

#[test]
fn frames_that_cannot_be_trusted_end_the_connection() {
    let spoilt: [(&str, Spoil); 7] = [
        ("another protocol", |bytes| *bytes = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n".to_vec()),
        ("zeros", |bytes| bytes.fill(0)),
        ("a wrong checksum", |bytes| bytes[20] ^= 1),
        ("a changed header", |bytes| bytes[30] ^= 1),
        ("a header that is no table", |bytes| {
            bytes[24..32].fill(0xFF);
            seal(bytes);
        }),
        ("unknown flags", |bytes| {
            bytes[6] = 4;
            seal(bytes);
        }),
        ("an answer", |bytes| {
            bytes[6] = 1;
            seal(bytes);
        }),
    ];
    for (name, spoil) in spoilt {
        for greeted in [false, true] {
            let mut peer = if greeted { Peer::greeted() } else { Peer::stranger() };
            let mut bytes = peer.encode(|id, encoder| greeting(None).encode(id, encoder));
            spoil(&mut bytes);
            peer.send_raw(&bytes);
            assert!(peer.is_closed(), "{name} was not closed, greeted: {greeted}");
        }
    }
}

#[test]
fn a_frame_beyond_the_limit_ends_the_connection_before_it_arrives() {
    let sized = |bytes: usize| {
        let mut peer = Peer::stranger();
        let mut prefix = peer.encode(|id, encoder| greeting(None).encode(id, encoder));
        prefix.truncate(24);
        prefix[..4].copy_from_slice(&u32::try_from(bytes).unwrap().to_le_bytes());
        prefix
    };
    let mut peer = Peer::stranger();
    peer.send_raw(&sized((64 << 10) + 8));
    assert!(peer.is_closed(), "a stranger sent more than a hello");
    let mut peer = Peer::greeted();
    peer.send_raw(&sized(FRAME_BYTES_MAX + 8));
    assert!(peer.is_closed(), "a frame of more than 16 MiB");
}

#[test]
fn a_producer_gets_an_id_of_its_own() {
    let mut peer = Peer::greeted();
    let mut ids = Vec::new();
    let mut wish = producer::Request {
        transactional_id: None,
        transaction_timeout_ms: 60_000,
        producer_id: -1,
        producer_epoch: -1,
    };
    for _ in 0..3 {
        let answer = peer.ask(&[], |id, encoder| wish.encode(id, encoder));
        let told = producer::Answer::read(&frame(&answer)).unwrap();
        assert_eq!(told.producer_epoch, 0);
        assert!(told.producer_id >= 0 && !ids.contains(&told.producer_id));
        ids.push(told.producer_id);
    }
    wish.transactional_id = Some("transfers");
    let answer = peer.ask(&[], |id, encoder| wish.encode(id, encoder));
    assert_eq!(refusal(&answer), ErrorCode::UnsupportedVersion);
}
