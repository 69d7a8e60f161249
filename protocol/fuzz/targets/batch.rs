//! Record batches: built from the input, changed somewhere, half the time with a true checksum again. What is accepted
//! reads cleanly, says the same to the walk and to the records, and stays so when it is stamped.
#![no_main]

use fuzz::{bounded, unpack};
use libfuzzer_sys::fuzz_target;
use protocol::batch::builder::BatchBuilder;
use protocol::batch::compress::output_limit;
use protocol::batch::records::{Header, Records};
use protocol::batch::{CRC_AT, CRC_COVERS_FROM, HEADER_BYTES, NO_TIMESTAMP, Restamp, Walk};
use protocol::crc::crc32c;
use protocol::{
    CheckedBatch, Compression, LeaderEpoch, Offset, ProducerEpoch, ProducerId, RawBatch,
};

/// Takes small numbers and runs of bytes off the input.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = usize::from(self.byte());
        if count == 255 {
            return None;
        }
        let (head, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        Some(head)
    }

    fn number(&mut self) -> i64 {
        let mut bytes = [0; 8];
        bytes.iter_mut().for_each(|it| *it = self.byte());
        i64::from_le_bytes(bytes) >> (self.byte() % 64)
    }
}

fn build(script: &mut Script<'_>) -> Vec<u8> {
    let shape = script.byte();
    let codec = Compression::ALL[usize::from(shape & 7) % Compression::ALL.len()];
    let mut batch = BatchBuilder::new(codec);
    // Two levels of gzip: the first writes other blocks than the default, and costs less.
    if codec == Compression::Gzip && shape >> 6 != 0 {
        batch.set_level(1);
    }
    if shape & 8 != 0 {
        let id = ProducerId::new(script.number().max(0)).expect("not negative");
        let epoch = ProducerEpoch::new(i16::from(script.byte())).expect("not negative");
        batch.set_producer(id, epoch, i32::from(script.byte()));
        if shape & 16 != 0 {
            batch.set_transactional();
        }
    }
    for _ in 0..=script.byte() % 24 {
        let count = script.byte() % 4;
        let headers: Vec<_> = (0..count)
            .map(|_| Header { key: script.bytes().unwrap_or_default(), value: script.bytes() })
            .collect();
        let (key, value) = (script.bytes(), script.bytes());
        batch.append(key, value, &headers, script.number()).expect("small records");
    }
    let mut bytes = Vec::new();
    batch.build(&mut bytes).expect("a batch with records");
    bytes
}

/// What the walk must say, from the records.
fn expected(batch: &CheckedBatch<'_>, section: &[u8]) -> Option<Walk> {
    let read =
        bounded(section, 0, |it| Records::new(batch.header(), it).filter(Result::is_ok).count());
    let records: Vec<_> = Records::new(batch.header(), section).collect::<Result<_, _>>().ok()?;
    assert_eq!(read, records.len());
    let base = batch.header().base_offset();
    for (place, record) in records.iter().enumerate() {
        if record.offset != base + place as i64 {
            return None;
        }
        assert_eq!(record.headers.iter().count(), record.headers.len());
    }
    let max_timestamp = records.iter().map(|it| it.timestamp).max().unwrap_or(NO_TIMESTAMP);
    let place = |at: Option<usize>| at.map(|it| it as u32);
    Some(Walk {
        max_timestamp,
        max_timestamp_delta: place(records.iter().position(|it| it.timestamp == max_timestamp))
            .unwrap_or(0),
        min_timestamp: records
            .iter()
            .map(|it| it.timestamp)
            .filter(|it| *it != NO_TIMESTAMP)
            .min()
            .unwrap_or(NO_TIMESTAMP),
        first_null_key: place(records.iter().position(|it| it.key.is_none())),
    })
}

fn examine(bytes: &[u8]) {
    let _parts = bounded(bytes, 0, RawBatch::split_first);
    let Ok(batch) = bounded(bytes, 0, |it| RawBatch(it).check()) else {
        assert!(RawBatch(bytes).check_produced().is_err());
        return;
    };
    let _producer = batch.producer();
    let limit = output_limit(batch.record_bytes().len());
    let section = match batch.compression() {
        Compression::None => batch.record_bytes().to_vec(),
        codec => match unpack(codec, batch.record_bytes(), limit) {
            Some(section) => section,
            None => return,
        },
    };
    let walk = bounded(&section, 0, |it| batch.walk_decompressed(it)).ok();
    if batch.is_log_append_time() {
        assert_eq!(walk.is_some(), expected(&batch, &section).is_some());
    } else {
        assert_eq!(walk, expected(&batch, &section));
    }
    let Ok(batch) = bounded(bytes, 0, |it| RawBatch(it).check_produced()) else { return };
    assert_eq!(batch.record_count(), batch.offset_count());
    let (base, epoch) = (Offset::new(1 << 33).expect("positive"), LeaderEpoch::ZERO);
    let mut placed = vec![0; bytes.len()];
    batch.copy_assigned(base, epoch, &mut placed);
    let stored = RawBatch(&placed).check().expect("stamping keeps a batch whole");
    assert_eq!((stored.base_offset(), stored.record_count()), (base, batch.record_count()));
    assert_eq!(stored.walk_decompressed(&section).ok(), walk);
    batch.copy_restamped(base, epoch, Restamp::LogAppendTime(7), &mut placed);
    let stored = RawBatch(&placed).check().expect("restamping renews the checksum");
    assert!(stored.is_log_append_time() && stored.max_timestamp() == 7);
    assert_eq!(stored.walk_decompressed(&section).is_ok(), walk.is_some());
}

fn seal(bytes: &mut [u8]) {
    if bytes.len() >= HEADER_BYTES {
        let crc = crc32c(&bytes[CRC_COVERS_FROM..]);
        bytes[CRC_AT..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
    }
}

fuzz_target!(|input: &[u8]| {
    let mut script = Script(input);
    let mode = script.byte();
    if mode & 1 == 0 {
        // The input is the batch; its length and, half the time, its checksum are made true.
        let mut bytes = script.0.to_vec();
        if bytes.len() >= HEADER_BYTES && mode & 2 == 0 {
            let length = (bytes.len() - 12) as i32;
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
            bytes[16] = 2;
            seal(&mut bytes);
        }
        examine(&bytes);
        return;
    }
    let changes = script.byte() % 4;
    let places: Vec<_> = (0..changes)
        .map(|_| (usize::from(script.byte()) << 8 | usize::from(script.byte()), script.byte()))
        .collect();
    let mut bytes = build(&mut script);
    let good = RawBatch(&bytes).check_produced().expect("what we build is a produce");
    if good.compression() == Compression::None {
        assert!(good.walk().is_ok());
    }
    for (at, to) in places {
        let at = at % bytes.len();
        bytes[at] = to;
    }
    if mode & 2 == 0 {
        seal(&mut bytes);
    }
    examine(&bytes);
});
