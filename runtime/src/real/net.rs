//! Sockets: glommio waits for readiness, the rest is our own system calls.
#![expect(unsafe_code, reason = "socket calls glommio does not make, or makes differently")]

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use futures_lite::io::{AsyncRead, AsyncWrite};
use glommio::net::{TcpListener, TcpStream};

use super::World;
use crate::TaskClass;
use crate::net::ListenOptions;
use crate::sync::Queue;

/// The most slices the kernel takes in one call.
const SLICES_MAX: usize = 1024;
/// How long to wait after accepting failed, for descriptors to be closed elsewhere.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct Listener {
    shared: Rc<Accepting>,
    addr: SocketAddr,
}

/// What a listener shares with the task that accepts for it.
struct Accepting {
    /// The listening socket while that task holds it open.
    descriptor: Cell<Option<RawFd>>,
    closing: Cell<bool>,
    accepted: Queue<io::Result<Stream>>,
    keepalive: Option<Duration>,
}

impl Listener {
    pub(crate) fn bind(
        world: &World,
        addr: SocketAddr,
        options: ListenOptions,
    ) -> io::Result<Self> {
        let socket = if options.shared {
            bound_socket(addr, &[libc::SO_REUSEADDR, libc::SO_REUSEPORT])?
        } else {
            bound_socket(addr, &[libc::SO_REUSEADDR])?
        };
        let backlog = libc::c_int::try_from(options.backlog).unwrap_or(libc::c_int::MAX);
        // SAFETY: a system call on a descriptor that `socket` keeps open.
        check(unsafe { libc::listen(socket.as_raw_fd(), backlog) })?;
        let addr = local_addr(socket.as_raw_fd())?;
        let shared = Rc::new(Accepting {
            descriptor: Cell::new(Some(socket.as_raw_fd())),
            closing: Cell::new(false),
            accepted: Queue::new(1),
            keepalive: options.keepalive,
        });
        world.spawn(TaskClass::Serve, accept_all(socket, shared.clone()));
        Ok(Self { shared, addr })
    }

    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        let closed = || io::Error::new(io::ErrorKind::ConnectionAborted, "no longer listening");
        self.shared.accepted.pop().await.ok_or_else(closed)?
    }

    /// Shutting the socket down makes the pending accept return; dropping that future instead
    /// would leak the connection it was about to return (W6).
    pub(crate) fn close(&self) {
        self.shared.closing.set(true);
        self.shared.accepted.close();
        while self.shared.accepted.try_pop().is_some() {}
        if let Some(descriptor) = self.shared.descriptor.get() {
            shutdown(descriptor, Shutdown::Both);
        }
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

/// Accepts until the listener is closed.
async fn accept_all(socket: OwnedFd, shared: Rc<Accepting>) {
    // SAFETY: the descriptor is open, is a listening socket, and is given away here.
    let listener = unsafe { TcpListener::from_raw_fd(socket.into_raw_fd()) };
    while !shared.closing.get() {
        let accepted = match listener.accept().await {
            Ok(stream) => Stream::new(stream, shared.keepalive),
            Err(error) => Err(error.into()),
        };
        if shared.closing.get() {
            break;
        }
        let failed = accepted.is_err();
        if shared.accepted.push(accepted).await.is_err() {
            break;
        }
        if failed {
            glommio::timer::sleep(ACCEPT_PAUSE).await;
        }
    }
    shared.descriptor.set(None);
}

/// A connected socket. Both halves hold it; one task may wait to read while another waits to
/// write, for glommio keeps one readiness request per direction.
struct Socket {
    stream: RefCell<TcpStream>,
    descriptor: RawFd,
    peer: SocketAddr,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A readiness request in the ring would keep the socket open until the next round.
        shutdown(self.descriptor, Shutdown::Both);
    }
}

pub(crate) struct Stream(Rc<Socket>);
pub(crate) struct Receiver(Rc<Socket>);
pub(crate) struct Sender(Rc<Socket>);
pub(crate) struct Closer(Weak<Socket>);

impl Closer {
    pub(crate) fn shutdown(&self, how: Shutdown) {
        if let Some(socket) = self.0.upgrade() {
            shutdown(socket.descriptor, how);
        }
    }
}

impl Stream {
    fn new(stream: TcpStream, keepalive: Option<Duration>) -> io::Result<Self> {
        let descriptor = stream.as_raw_fd();
        stream.set_nodelay(true)?;
        if let Some(after) = keepalive {
            let seconds = libc::c_int::try_from(after.as_secs().max(1)).unwrap_or(libc::c_int::MAX);
            set_raw_option(descriptor, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)?;
            set_raw_option(descriptor, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, seconds)?;
            set_raw_option(descriptor, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, seconds)?;
        }
        let peer = stream.peer_addr()?;
        Ok(Self(Rc::new(Socket { stream: RefCell::new(stream), descriptor, peer })))
    }

    pub(crate) async fn connect(addr: SocketAddr) -> io::Result<Self> {
        Self::new(TcpStream::connect(addr).await?, None)
    }

    pub(crate) fn split(self) -> (Receiver, Sender) {
        (Receiver(self.0.clone()), Sender(self.0))
    }
    pub(crate) fn closer(&self) -> Closer {
        Closer(Rc::downgrade(&self.0))
    }
    pub(crate) fn peer_addr(&self) -> SocketAddr {
        self.0.peer
    }
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        local_addr(self.0.descriptor)
    }
    pub(crate) fn shutdown(&self, how: Shutdown) {
        shutdown(self.0.descriptor, how);
    }
}

impl Receiver {
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        std::future::poll_fn(|context| self.0.poll_read(context, buffer)).await
    }

    pub(crate) async fn read_buf(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        let spare = buffer.spare_capacity_mut();
        // SAFETY: the memory is ours and writable, any bytes are valid `u8`s, and the slice goes
        // to recv(2) only, which writes to it and never reads it.
        let spare = unsafe { &mut *(std::ptr::from_mut(spare) as *mut [u8]) };
        let count = std::future::poll_fn(|context| self.0.poll_read(context, spare)).await?;
        // SAFETY: the kernel wrote `count` bytes at the start of the spare capacity.
        unsafe { buffer.set_len(buffer.len() + count) };
        Ok(count)
    }

    pub(crate) fn peer_addr(&self) -> SocketAddr {
        self.0.peer
    }
    pub(crate) fn shutdown(&self, how: Shutdown) {
        shutdown(self.0.descriptor, how);
    }
}

impl Socket {
    fn poll_read(&self, context: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_read(context, into)
    }
    fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_write(context, bytes)
    }
}

impl Sender {
    /// glommio would send the first slice only (W8), so the gathering call is ours; when the
    /// socket is full, its write of the first slice both waits and sends.
    pub(crate) async fn send(&mut self, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            let sent = match self.0.send_now(slices) {
                Ok(sent) => sent,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::future::poll_fn(|context| self.0.poll_write(context, &slices[0])).await?
                }
                Err(error) => return Err(error),
            };
            IoSlice::advance_slices(&mut slices, sent);
        }
        Ok(())
    }

    pub(crate) fn peer_addr(&self) -> SocketAddr {
        self.0.peer
    }
    pub(crate) fn shutdown(&self, how: Shutdown) {
        shutdown(self.0.descriptor, how);
    }
}

impl Socket {
    /// One gathering send of as much as the kernel takes now.
    fn send_now(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // SAFETY: all-zero is a valid message header: no name, no slices, no control data.
        let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        // `IoSlice` is documented to have the layout of `iovec`.
        message.msg_iov = slices.as_ptr() as *mut libc::iovec;
        message.msg_iovlen = slices.len().min(SLICES_MAX);
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the header points to `msg_iovlen` slices that live through the call, which only
        // reads them; the descriptor is open while `self` lives.
        let sent = unsafe { libc::sendmsg(self.descriptor, &raw const message, flags) };
        usize::try_from(sent).map_err(|_negative| io::Error::last_os_error())
    }
}

fn shutdown(descriptor: RawFd, how: Shutdown) {
    let how = match how {
        Shutdown::Read => libc::SHUT_RD,
        Shutdown::Write => libc::SHUT_WR,
        Shutdown::Both => libc::SHUT_RDWR,
    };
    // SAFETY: a system call on a descriptor its owner keeps open. It fails only if the connection
    // is gone already, which is what was wanted.
    unsafe { libc::shutdown(descriptor, how) };
}

pub(super) fn bound_socket(addr: SocketAddr, options: &[libc::c_int]) -> io::Result<OwnedFd> {
    let family = if addr.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: a system call without pointers.
    let socket = unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    check(socket)?;
    // SAFETY: a new descriptor that nobody else owns.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    for &option in options {
        set_option(&socket, libc::SOL_SOCKET, option, 1)?;
    }
    let outcome = match addr {
        SocketAddr::V4(v4) => {
            let name = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                sin_zero: [0; 8],
            };
            bind(&socket, &name)
        }
        SocketAddr::V6(v6) => {
            let name = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            bind(&socket, &name)
        }
    };
    outcome.map_err(|error| io::Error::new(error.kind(), format!("{addr}: {error}")))?;
    Ok(socket)
}

fn bind<N>(socket: &OwnedFd, name: &N) -> io::Result<()> {
    let size = size_of::<N>() as libc::socklen_t;
    // SAFETY: `name` is a socket address structure of `size` bytes that lives through the call.
    check(unsafe { libc::bind(socket.as_raw_fd(), std::ptr::from_ref(name).cast(), size) })
}

pub(super) fn set_option(socket: &OwnedFd, level: i32, option: i32, value: i32) -> io::Result<()> {
    set_raw_option(socket.as_raw_fd(), level, option, value)
}

fn set_raw_option(descriptor: RawFd, level: i32, option: i32, value: i32) -> io::Result<()> {
    let (at, size) = (std::ptr::from_ref(&value).cast(), size_of::<i32>() as libc::socklen_t);
    // SAFETY: `at` points to `size` bytes that live through the call.
    check(unsafe { libc::setsockopt(descriptor, level, option, at, size) })
}

pub(super) fn local_addr(descriptor: RawFd) -> io::Result<SocketAddr> {
    // SAFETY: the descriptor is an open socket; the listener type is a mere handle here, and
    // `ManuallyDrop` keeps it from closing what it does not own.
    let socket =
        unsafe { std::mem::ManuallyDrop::new(std::net::TcpListener::from_raw_fd(descriptor)) };
    socket.local_addr()
}

fn check(outcome: libc::c_int) -> io::Result<()> {
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
