use super::*;

const KAFKA: Framing = Framing::Kafka { bytes_max: 100 };

#[test]
fn an_answers_length_is_bounded_before_anything_is_read() {
    // What has arrived, and the frame's size: `None` for not yet known, 0 for refused.
    let cases: [(&[u8], Option<usize>); 7] = [
        (&[], None),
        (&[0, 0, 0], None),
        (&[0, 0, 0, 4], Some(8)),
        (&[0, 0, 0, 100], Some(104)),
        (&[0, 0, 0, 101], Some(0)),
        (&[0, 0, 0, 3], Some(0)),
        (&[0x80, 0, 0, 0], Some(0)),
    ];
    for (bytes, expected) in cases {
        assert_eq!(KAFKA.frame_bytes(bytes).unwrap_or(Some(0)), expected, "{bytes:?}");
    }
}

#[test]
fn garbage_is_no_native_frame() {
    let native = Framing::Native { bytes_max: 1 << 20 };
    assert_eq!(native.frame_bytes(&[1; 23]), Ok(None));
    assert!(native.frame_bytes(&[0xff; 24]).is_err());
    assert!(native.correlation(&[7; 64]).is_err());
}
