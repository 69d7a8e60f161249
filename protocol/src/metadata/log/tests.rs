//! What goes into a batch comes out again, and nothing else does.

use proptest::prelude::*;

use super::*;
use crate::TopicId;
use crate::batch::RawBatch;
use crate::metadata::record::tests::any_record;

proptest! {
    #[test]
    fn records_survive_their_batch(records in prop::collection::vec(any_record(), 1..50)) {
        let mut bytes = Vec::new();
        write_batch(&records, 7, &mut bytes).unwrap();
        let batch = RawBatch(&bytes).check().unwrap();
        prop_assert_eq!(batch.offset_count() as usize, records.len());
        prop_assert_eq!(read_batch(&batch), Ok(records));
    }
}

fn read(
    build: impl FnOnce(&mut BatchBuilder),
    codec: Compression,
) -> Result<Vec<Record>, ReadError> {
    let mut batch = BatchBuilder::new(codec);
    build(&mut batch);
    let mut bytes = Vec::new();
    batch.build(&mut bytes).unwrap();
    read_batch(&RawBatch(&bytes).check().unwrap())
}

#[test]
fn foreign_batches_are_refused() {
    let value = Record::TopicDeleted { topic: TopicId::new([1; 16]) }.to_bytes();
    let add = |batch: &mut BatchBuilder, value: Option<&[u8]>| {
        batch.append(None, value, &[], 0).unwrap();
    };
    assert_eq!(read(|batch| add(batch, Some(&value)), Compression::Lz4), Err(ReadError::Foreign));
    assert_eq!(read(|batch| add(batch, None), Compression::None), Err(ReadError::Foreign));
    let newer = ReadError::Record { offset: 1, source: DecodeError::UnknownKind(200) };
    let build = |batch: &mut BatchBuilder| {
        add(batch, Some(&value));
        add(batch, Some(&[200, 0]));
    };
    assert_eq!(read(build, Compression::None), Err(newer));
}
