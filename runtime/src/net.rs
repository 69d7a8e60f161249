//! Connections, in the real world or a simulated one.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use bytes::BytesMut;

use crate::{real, sim};

/// How to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// Several shards of this process listen on the same port (SO_REUSEPORT). Claim the port first
    /// with [`PortClaim`]: the kernel would let a second broker share it in silence.
    pub shared: bool,
    /// Connections that wait to be accepted.
    pub backlog: u32,
    /// Probe a silent peer after this time, in whole seconds; `None` leaves it to the protocol.
    pub keepalive: Option<Duration>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self { shared: false, backlog: 1024, keepalive: None }
    }
}

/// Accepts connections.
pub struct Listener(ListenerKind);

enum ListenerKind {
    Real(real::net::Listener),
    Sim(sim::net::Listener),
}

/// A connection. Dropping its last half shuts it down at once.
pub struct Stream(StreamKind);

enum StreamKind {
    Real(real::net::Stream),
    Sim(sim::net::Stream),
}

/// Ends a connection from outside the tasks that use it. Does not keep it open.
pub struct Closer(CloserKind);

enum CloserKind {
    Real(real::net::Closer),
    Sim(sim::net::Closer),
}

impl Closer {
    /// Ends one or both directions at once; the tasks that read or write notice by themselves.
    pub fn shutdown(&self, how: Shutdown) {
        match &self.0 {
            CloserKind::Real(closer) => closer.shutdown(how),
            CloserKind::Sim(closer) => closer.shutdown(how),
        }
    }
}

/// The reading half of a connection.
pub struct Receiver(ReceiverKind);

enum ReceiverKind {
    Real(real::net::Receiver),
    Sim(sim::net::Receiver),
}

/// The writing half of a connection.
pub struct Sender(SenderKind);

enum SenderKind {
    Real(real::net::Sender),
    Sim(sim::net::Sender),
}

/// A port that this process owns and its shards may share. Fails loudly if another process
/// listens there. Keep it while the shards listen.
pub struct PortClaim(real::port::PortClaim);

impl PortClaim {
    /// Claims `addr`; port 0 picks a free one.
    pub fn new(addr: SocketAddr) -> io::Result<Self> {
        real::port::PortClaim::new(addr).map(Self)
    }
    /// The address with its real port, for [`crate::World::listen`] with
    /// [`ListenOptions::shared`].
    pub fn addr(&self) -> SocketAddr {
        self.0.addr()
    }
}

impl Listener {
    pub(crate) fn real(listener: real::net::Listener) -> Self {
        Self(ListenerKind::Real(listener))
    }
    pub(crate) fn sim(listener: sim::net::Listener) -> Self {
        Self(ListenerKind::Sim(listener))
    }

    /// The next connection. Safe to drop. After [`Listener::close`] it fails with
    /// `ConnectionAborted`; other errors (too many open files) pass, so the caller goes on.
    pub async fn accept(&self) -> io::Result<Stream> {
        match &self.0 {
            ListenerKind::Real(listener) => listener.accept().await.map(Stream::real),
            ListenerKind::Sim(listener) => listener.accept().await.map(Stream::sim),
        }
    }

    /// Ends accepting at once, and the port is free. Accepted connections live on.
    pub fn close(&self) {
        match &self.0 {
            ListenerKind::Real(listener) => listener.close(),
            ListenerKind::Sim(listener) => listener.close(),
        }
    }

    /// The address it listens on, with its real port.
    pub fn local_addr(&self) -> SocketAddr {
        match &self.0 {
            ListenerKind::Real(listener) => listener.local_addr(),
            ListenerKind::Sim(listener) => listener.local_addr(),
        }
    }
}

impl Stream {
    pub(crate) fn real(stream: real::net::Stream) -> Self {
        Self(StreamKind::Real(stream))
    }
    pub(crate) fn sim(stream: sim::net::Stream) -> Self {
        Self(StreamKind::Sim(stream))
    }

    /// The two halves; each may live in a task of its own.
    pub fn split(self) -> (Receiver, Sender) {
        match self.0 {
            StreamKind::Real(stream) => {
                let (receiver, sender) = stream.split();
                (Receiver(ReceiverKind::Real(receiver)), Sender(SenderKind::Real(sender)))
            }
            StreamKind::Sim(stream) => {
                let (receiver, sender) = stream.split();
                (Receiver(ReceiverKind::Sim(receiver)), Sender(SenderKind::Sim(sender)))
            }
        }
    }

    /// A handle that can end the connection from elsewhere.
    pub fn closer(&self) -> Closer {
        match &self.0 {
            StreamKind::Real(stream) => Closer(CloserKind::Real(stream.closer())),
            StreamKind::Sim(stream) => Closer(CloserKind::Sim(stream.closer())),
        }
    }

    /// Who is at the other end.
    pub fn peer_addr(&self) -> SocketAddr {
        match &self.0 {
            StreamKind::Real(stream) => stream.peer_addr(),
            StreamKind::Sim(stream) => stream.peer_addr(),
        }
    }

    /// Our end's address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            StreamKind::Real(stream) => stream.local_addr(),
            StreamKind::Sim(stream) => Ok(stream.local_addr()),
        }
    }

    /// Ends one or both directions at once.
    pub fn shutdown(&self, how: Shutdown) {
        match &self.0 {
            StreamKind::Real(stream) => stream.shutdown(how),
            StreamKind::Sim(stream) => stream.shutdown(how),
        }
    }
}

impl Receiver {
    /// Reads into `buffer` what has arrived, waiting for at least one byte. 0 is the end of the
    /// stream (or an empty buffer). Safe to drop: bytes are taken only when it returns.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            ReceiverKind::Real(receiver) => receiver.read(buffer).await,
            ReceiverKind::Sim(receiver) => receiver.read(buffer).await,
        }
    }

    /// Like [`Receiver::read`], appending to `buffer` within its spare capacity, without zeroing
    /// it first. Reserve before calling; without spare capacity it fails with `InvalidInput`.
    pub async fn read_buf(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        if buffer.capacity() == buffer.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no room to read into"));
        }
        match &mut self.0 {
            ReceiverKind::Real(receiver) => receiver.read_buf(buffer).await,
            ReceiverKind::Sim(receiver) => receiver.read_buf(buffer).await,
        }
    }

    /// Who is at the other end.
    pub fn peer_addr(&self) -> SocketAddr {
        match &self.0 {
            ReceiverKind::Real(receiver) => receiver.peer_addr(),
            ReceiverKind::Sim(receiver) => receiver.peer_addr(),
        }
    }

    /// Ends one or both directions of the connection at once.
    pub fn shutdown(&self, how: Shutdown) {
        match &self.0 {
            ReceiverKind::Real(receiver) => receiver.shutdown(how),
            ReceiverKind::Sim(receiver) => receiver.shutdown(how),
        }
    }
}

impl Sender {
    /// Sends all bytes of all slices in order, in as few system calls as the kernel takes, or
    /// fails. The slices are consumed. If the future is dropped, some prefix was sent and the
    /// connection is of no more use.
    pub async fn send(&mut self, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        match &mut self.0 {
            SenderKind::Real(sender) => sender.send(slices).await,
            SenderKind::Sim(sender) => sender.send(slices).await,
        }
    }

    /// Sends all of `bytes`, or fails.
    pub async fn send_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.send(&mut [IoSlice::new(bytes)]).await
    }

    /// Who is at the other end.
    pub fn peer_addr(&self) -> SocketAddr {
        match &self.0 {
            SenderKind::Real(sender) => sender.peer_addr(),
            SenderKind::Sim(sender) => sender.peer_addr(),
        }
    }

    /// Ends one or both directions of the connection at once.
    pub fn shutdown(&self, how: Shutdown) {
        match &self.0 {
            SenderKind::Real(sender) => sender.shutdown(how),
            SenderKind::Sim(sender) => sender.shutdown(how),
        }
    }
}
