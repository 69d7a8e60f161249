//! Every entry survives its encoding; no byte string makes the decoder panic.

use proptest::prelude::*;

use super::*;

fn entries<'a>(bytes: &'a [u8], headers: &'a [u8]) -> Vec<Entry<'a>> {
    let run = Run { log: 3, segment: 100, first: 120, next: 130 };
    vec![
        Entry::Bytes { run, position: 4096, kind: Carriage::Whole, bytes },
        Entry::Bytes { run, position: 77, kind: Carriage::Continues, bytes: &[] },
        Entry::Bytes { run, position: 8192, kind: Carriage::Repeated, bytes },
        Entry::Extent { run, write_start: 4096, start: 5000, end: 8192, crc: 9, headers },
        Entry::Create { log: 1, topic: [9; 16], partition: 12, epoch: 4, first: 55 },
        Entry::Delete { log: 1, stray: true },
        Entry::Delete { log: 2, stray: false },
        Entry::EpochStart { log: 1, epoch: 5, start: 6 },
        Entry::Truncate { log: 1, to: 7 },
        Entry::LogStart { log: 1, to: 8 },
        Entry::Roll { log: 1, sealed_base: 0, sealed_bytes: 9, base: 10 },
        Entry::HighWatermark { log: 1, to: 11 },
        Entry::Opened { incarnation: 2, rules: 3, end: 4, durable: 5 },
        Entry::CleanShutdown { sequence: 6 },
        Entry::Quarantine { log: 1, first: 2, next: 3 },
        Entry::Adopt { record: bytes },
        Entry::Disown { log: 1, shard: 3 },
        Entry::Swap { log: 1, from: 2, to: 3, segment: bytes },
        Entry::Cleaned { log: 1, to: 4 },
    ]
}

#[test]
fn every_entry_is_read_as_written() {
    let (bytes, headers) = (vec![1; 300], vec![2; HEADER_BYTES * 3]);
    let written = entries(&bytes, &headers);
    let mut out = Vec::new();
    for entry in &written {
        entry.encode(&mut out);
    }
    let read: Vec<_> = Entries::new(&out).map(|it| it.expect("well formed")).collect();
    assert_eq!(read, written);
}

#[test]
fn an_unknown_kind_ends_the_reading() {
    let out = [99, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    let read: Vec<_> = Entries::new(&out).collect();
    assert_eq!(read, [Err(EntryError::UnknownKind(99))]);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(kind in 0u8..20, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut out = Vec::new();
        put_header(&mut out, kind, 1, bytes.len());
        out.extend_from_slice(&bytes);
        let read = Entries::new(&out).count();
        prop_assert!(read >= 1);
        prop_assert!(Entries::new(&bytes).count() <= bytes.len() + 1);
    }
}
