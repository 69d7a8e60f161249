use std::net::TcpListener;

use super::*;

fn peer() -> Peer {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Peer::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap())
}

/// Puts bytes where the kernel would.
fn receive(peer: &mut Peer, bytes: &[u8]) {
    peer.room()[..bytes.len()].copy_from_slice(bytes);
    peer.received(bytes.len());
}

fn frame(peer: &Peer) -> std::ops::Range<usize> {
    let Front::Frame(frame) = peer.front() else { panic!("no whole frame") };
    frame
}

#[test]
fn frames_are_split_wherever_the_bytes_were_cut() {
    let bytes = [&[0, 0, 0, 3], &b"abc"[..], &[0, 0, 0, 2], b"de"].concat();
    for cut in 0..bytes.len() {
        let mut peer = peer();
        let mut frames = Vec::new();
        for part in [&bytes[..cut], &bytes[cut..]] {
            receive(&mut peer, part);
            while let Front::Frame(frame) = peer.front() {
                frames.push(peer.work(&frame).0.to_vec());
                peer.handled(&frame, None);
            }
        }
        assert_eq!(frames, [b"abc".to_vec(), b"de".to_vec()], "cut at {cut}");
    }
}

#[test]
fn a_frame_too_large_is_known_by_its_length() {
    let mut peer = peer();
    receive(&mut peer, &u32::MAX.to_be_bytes());
    assert!(matches!(peer.front(), Front::TooLarge));
}

#[test]
fn answers_leave_in_order_and_not_before_their_writes() {
    let mut peer = peer();
    receive(&mut peer, &[&[0, 0, 0, 1, b'x'][..]; 4].concat());
    for (answer, write) in [(b'1', Some(0)), (b'2', Some(1)), (b'3', None), (b'4', Some(1))] {
        let frame = frame(&peer);
        peer.work(&frame).1.push(answer);
        peer.handled(&frame, write);
    }
    assert_eq!(peer.start_sending(), None);
    peer.release(|write| write == 0);
    assert_eq!(peer.start_sending(), Some(&b"1"[..]));
    peer.release(|_| true);
    // One send at a time.
    assert_eq!(peer.start_sending(), None);
    assert_eq!(peer.sent(1), None);
    assert_eq!(peer.start_sending(), Some(&b"234"[..]));
    assert_eq!(peer.sent(2), Some(&b"4"[..]));
    assert_eq!(peer.sent(1), None);
    assert_eq!(peer.start_sending(), None);
}
