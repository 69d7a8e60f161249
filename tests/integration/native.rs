//! Row S10: what arrives at the native listener and is no frame of ours.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tests::batch::crc32c;
use tests::seeded::Seeded;
use tests::wire::Wire;

use crate::fixture::{Fixture, GROWTH_MAX, is_foreign};

const SOON: Duration = Duration::from_secs(10);

/// A prefix with a checksum that holds, and a header behind it.
fn frame(kind: u16, flags: u16, header: &[u8], payload: &[u8]) -> Vec<u8> {
    let length = 24 + header.len() + payload.len();
    let mut out = u32::try_from(length).unwrap().to_le_bytes().to_vec();
    out.extend(kind.to_le_bytes());
    out.extend(flags.to_le_bytes());
    out.extend(7_u64.to_le_bytes());
    out.extend(u32::try_from(header.len()).unwrap().to_le_bytes());
    let sum = crc32c(&[&out[..], header].concat());
    out.extend(sum.to_le_bytes());
    out.extend(header);
    out.extend(payload);
    out
}

fn connect(fixture: &Fixture) -> Wire {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, fixture.plan.native));
    Wire::connect_to(address).expect("a native listener")
}

#[test]
fn s10_frames_that_cannot_be_trusted_end_the_connection() {
    if is_foreign() {
        return;
    }
    let mut fixture = Fixture::start("s10");
    fixture.connect().ping().unwrap();
    let before = fixture.resident();
    let mut wrong_sum = frame(1, 0, &[0; 8], &[]);
    wrong_sum[20] ^= 1;
    let mut too_long = frame(1, 0, &[0; 8], &[]);
    too_long[..4].copy_from_slice(&(512_u32 << 20).to_le_bytes());
    let mut header_beyond = frame(1, 0, &[0; 8], &[]);
    header_beyond[16..20].copy_from_slice(&(1_u32 << 30).to_le_bytes());
    // A root offset that points out of the buffer.
    let outside = [0xFF, 0xFF, 0xFF, 0x7F, 0, 0, 0, 0];
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("another protocol", b"GET / HTTP/1.1\r\nHost: here\r\n\r\n".to_vec()),
        ("a Kafka request", tests::wire::request(18, 0, 1, &[0; 32])),
        ("zeros", vec![0; 64]),
        ("a wrong checksum", wrong_sum),
        ("a frame of half a gigabyte", too_long),
        ("a header longer than its frame", header_beyond),
        ("no header", frame(1, 0, &[], &[])),
        ("unknown flags", frame(1, 0xFFFE, &[0; 8], &[])),
        ("a root outside", frame(1, 0, &outside, &[])),
    ];
    for (name, bytes) in rows {
        for _ in 0..10 {
            let mut wire = connect(&fixture);
            wire.send(&bytes).unwrap();
            assert!(wire.is_closed_within(SOON).unwrap(), "{name} was not closed");
        }
    }
    let grown = fixture.resident().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "grew by {grown} bytes");
    fixture.finish();
}

#[test]
fn s10_headers_of_random_bytes_never_harm() {
    if is_foreign() {
        return;
    }
    let mut fixture = Fixture::start("s10-random");
    fixture.connect().ping().unwrap();
    let before = fixture.resident();
    let mut seeded = Seeded::new(10);
    let kinds = [0, 1, 16, 32, 33, 34, 35, 36, 48, 49, 50, 51, 52, 200, 65_535];
    for _ in 0..300 {
        let words = 1 + seeded.below(40);
        // Small numbers make offsets that stay inside.
        let small = seeded.chance(70);
        let header: Vec<u8> = (0..words * 2)
            .map(|_| if small { seeded.below(64) } else { seeded.bits() })
            .flat_map(|number| u32::try_from(number & 0xFFFF_FFFF).unwrap().to_le_bytes())
            .collect();
        let kind = kinds[usize::try_from(seeded.below(kinds.len() as u64)).unwrap()];
        let mut wire = connect(&fixture);
        wire.send(&frame(kind, 0, &header, &[1; 16])).unwrap();
        // An answer or the end: both are well, and neither may take the broker along.
        drop(wire);
    }
    fixture.connect().ping().unwrap();
    let grown = fixture.resident().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "grew by {grown} bytes");
    fixture.finish();
}
