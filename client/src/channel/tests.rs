use super::*;

const KAFKA: Framing = Framing::Kafka { bytes_max: 100 };

#[test]
fn an_answers_length_is_bounded_before_anything_is_read() {
    let cases: [(&[u8], Result<Option<usize>, ()>); 7] = [
        (&[], Ok(None)),
        (&[0, 0, 0], Ok(None)),
        (&[0, 0, 0, 4], Ok(Some(8))),
        (&[0, 0, 0, 100], Ok(Some(104))),
        (&[0, 0, 0, 101], Err(())),
        (&[0, 0, 0, 3], Err(())),
        (&[0x80, 0, 0, 0], Err(())),
    ];
    for (bytes, expected) in cases {
        assert_eq!(KAFKA.frame_bytes(bytes).map_err(|_| ()), expected, "{bytes:?}");
    }
}

#[test]
fn garbage_is_no_native_frame() {
    let native = Framing::Native { bytes_max: 1 << 20 };
    assert_eq!(native.frame_bytes(&[1; 23]), Ok(None));
    assert!(native.frame_bytes(&[0xff; 24]).is_err());
    assert!(native.correlation(&[7; 64]).is_err());
}
