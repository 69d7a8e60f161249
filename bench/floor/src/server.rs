//! The loop: wait, handle what came, write, answer.

use std::convert::Infallible;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};

use crate::FloorError;
use crate::disk::Disk;
use crate::kafka::{Broken, Reply, Sink, Topics};
use crate::peer::{Front, Peer};
use crate::ring::{Event, Ring};

/// More connections than this are closed at once.
const PEERS_MAX: usize = 64;

pub(crate) struct Server {
    ring: Ring,
    listener: TcpListener,
    disk: Disk,
    topics: Topics,
    peers: Vec<Option<Peer>>,
}

/// The disk as the place where batches go.
struct Appender<'a> {
    disk: &'a mut Disk,
    ring: &'a mut Ring,
}

impl Sink for Appender<'_> {
    fn has_room(&self, bytes: usize) -> bool {
        self.disk.has_room(bytes)
    }

    fn append(&mut self, batch: &[u8]) -> io::Result<u64> {
        self.disk.append(self.ring, batch)
    }
}

impl Server {
    pub(crate) fn new(
        listener: TcpListener,
        disk: Disk,
        topics: Topics,
    ) -> Result<Self, FloorError> {
        let mut ring = Ring::new().map_err(FloorError::at("io_uring"))?;
        disk.register(&ring).map_err(FloorError::at("registering buffers"))?;
        ring.accept(listener.as_raw_fd()).map_err(FloorError::at("accept"))?;
        Ok(Self { ring, listener, disk, topics, peers: Vec::new() })
    }

    pub(crate) fn run(&mut self) -> Result<Infallible, FloorError> {
        let mut events = Vec::new();
        loop {
            self.ring.wait(&mut events).map_err(FloorError::at("io_uring"))?;
            for &(event, result) in &events {
                self.note(event, result).map_err(FloorError::at("completion"))?;
            }
            for slot in 0..self.peers.len() {
                self.handle_all(slot).map_err(FloorError::at("writing"))?;
            }
            self.disk.flush(&mut self.ring).map_err(FloorError::at("writing"))?;
            for slot in 0..self.peers.len() {
                self.move_bytes(slot).map_err(FloorError::at("the socket"))?;
            }
        }
    }

    fn note(&mut self, event: Event, result: i32) -> io::Result<()> {
        match event {
            Event::Accepted => {
                self.ring.accept(self.listener.as_raw_fd())?;
                if result >= 0 {
                    self.welcome(owned(result));
                }
            }
            Event::Received(slot) => {
                if let Some(Some(peer)) = self.peers.get_mut(slot as usize) {
                    peer.receiving = false;
                    match usize::try_from(result) {
                        Ok(bytes) if bytes > 0 => peer.received(bytes),
                        _ => peer.gone = true,
                    }
                }
            }
            Event::Sent(slot) => {
                if let Some(Some(peer)) = self.peers.get_mut(slot as usize) {
                    let fd = peer.fd();
                    match usize::try_from(result) {
                        Ok(bytes) if bytes > 0 => {
                            if let Some(rest) = peer.sent(bytes) {
                                self.ring.send(fd, rest, slot)?;
                            }
                        }
                        _ => peer.drop_output(),
                    }
                }
            }
            Event::Written(number) => self.disk.written(number, result)?,
        }
        Ok(())
    }

    fn welcome(&mut self, stream: TcpStream) {
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let peer = Some(Peer::new(stream));
        if let Some(empty) = self.peers.iter_mut().find(|slot| slot.is_none()) {
            *empty = peer;
        } else if self.peers.len() < PEERS_MAX {
            self.peers.push(peer);
        }
    }

    /// Handles every whole frame of a peer, as long as the disk has room.
    fn handle_all(&mut self, slot: usize) -> io::Result<()> {
        let Some(Some(peer)) = self.peers.get_mut(slot) else { return Ok(()) };
        while !peer.gone {
            let frame = match peer.front() {
                Front::Frame(frame) => frame,
                Front::Part => break,
                Front::TooLarge => {
                    peer.gone = true;
                    break;
                }
            };
            let mut sink = Appender { disk: &mut self.disk, ring: &mut self.ring };
            let (bytes, out) = peer.work(&frame);
            match self.topics.handle(bytes, &mut sink, out) {
                Ok(Reply::Now) => peer.handled(&frame, None),
                Ok(Reply::After(write)) => peer.handled(&frame, Some(write)),
                Ok(Reply::Full) => break,
                Err(Broken::Disk(error)) => return Err(error),
                Err(_) => peer.gone = true,
            }
        }
        Ok(())
    }

    /// Sends what may leave, asks for more, and forgets peers that have gone.
    fn move_bytes(&mut self, slot: usize) -> io::Result<()> {
        let Some(place) = self.peers.get_mut(slot) else { return Ok(()) };
        let Some(peer) = place else { return Ok(()) };
        if peer.gone {
            if peer.close() {
                *place = None;
            }
            return Ok(());
        }
        let (fd, number) = (peer.fd(), slot as u32);
        peer.release(|write| self.disk.may_answer(write));
        if let Some(bytes) = peer.start_sending() {
            self.ring.send(fd, bytes, number)?;
        }
        if !peer.receiving {
            let room = peer.room();
            if !room.is_empty() {
                self.ring.receive(fd, room, number)?;
                peer.receiving = true;
            }
        }
        Ok(())
    }
}

/// The connection that the kernel just opened for us.
#[expect(unsafe_code, reason = "a descriptor from the kernel becomes an owned one")]
fn owned(descriptor: i32) -> TcpStream {
    // SAFETY: a completed accept gave this descriptor, and nobody else has it.
    unsafe { TcpStream::from_raw_fd(descriptor) }
}
