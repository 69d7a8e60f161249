//! Walking over padding of every width.

use super::*;

/// A batch with that base offset and size; only its header matters here.
fn batch(base: i64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0u8; size];
    bytes[..8].copy_from_slice(&base.to_be_bytes());
    bytes[8..12].copy_from_slice(&((size - 12) as i32).to_be_bytes());
    bytes[16] = 2;
    bytes
}

#[test]
fn padding_of_every_width_is_stepped_over_for_any_offset() {
    for base in [1i64, 255, 256, 1 << 16, 1 << 24, 1 << 31, 1 << 32, 1 << 40, 0x0102_0304_0506_0708]
    {
        for padding in 1..=80usize {
            let mut bytes = batch(base, 4096 - padding);
            bytes.resize(4096, 0);
            bytes.extend(batch(base + 1, 100));
            let found: Vec<_> = Walk::new(&bytes, 0, base).map(|it| it.position).collect();
            assert_eq!(found, [0, 4096], "offset {base}, {padding} bytes of padding");
        }
    }
}

#[test]
fn batches_back_to_back_from_offset_zero() {
    let bytes = [batch(0, 70), batch(1, 5000), batch(2, 61)].concat();
    let found: Vec<_> = Walk::new(&bytes, 0, 0).map(|it| (it.position, it.bytes.len())).collect();
    assert_eq!(found, [(0, 70), (70, 5000), (5070, 61)]);
    // A batch that is cut off is not handed out.
    assert_eq!(Walk::new(&bytes[..5000], 0, 0).count(), 1);
    assert_eq!(Walk::new(&[0; 9000], 0, 0).count(), 0);
}
