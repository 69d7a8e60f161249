//! Claims a port for the whole process, and says who else has it.
//!
//! The kernel takes a killed process's io_uring apart after the process is gone, and its listeners last
//! until then: 10 to 15 ms, but seconds where the machine is busy. Nobody holds such a listener any more,
//! and that is how it is told from one that somebody uses.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use super::net::{bound_socket, local_addr, set_option};

/// How long a port that a process holds is asked for again: the process may be about to end.
const HELD_PATIENCE: Duration = Duration::from_secs(2);
/// How long one that the kernel is about to free.
const FREED_PATIENCE: Duration = Duration::from_secs(30);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(10);
/// How long what was found out about the holder is believed.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(crate) struct PortClaim {
    _socket: OwnedFd,
    addr: SocketAddr,
}

impl PortClaim {
    /// Binds without SO_REUSEPORT, which fails if anybody listens there, and then allows our own
    /// shards to bind beside it. SO_REUSEADDR lets it pass connections that are only dying.
    pub(crate) fn new(addr: SocketAddr) -> io::Result<Self> {
        let began = Instant::now();
        let mut looked = None;
        let socket = loop {
            match bound_socket(addr, &[libc::SO_REUSEADDR]) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    if looked
                        .as_ref()
                        .is_none_or(|(at, _): &(Instant, _)| at.elapsed() > LOOK_EVERY)
                    {
                        looked = Some((Instant::now(), holder(addr.port())));
                    }
                    let holder = looked.as_ref().map(|(_, holder)| holder);
                    let patience = match holder {
                        Some(Holder::Nobody) => FREED_PATIENCE,
                        _ => HELD_PATIENCE,
                    };
                    if began.elapsed() >= patience {
                        let who = holder.map(ToString::to_string).unwrap_or_default();
                        return Err(io::Error::new(error.kind(), format!("{error}{who}")));
                    }
                    std::thread::sleep(PAUSE);
                }
                bound => break bound?,
            }
        };
        set_option(&socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
        let addr = local_addr(socket.as_raw_fd())?;
        Ok(Self { _socket: socket, addr })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// Who listens on a port.
#[derive(Debug, PartialEq, Eq)]
enum Holder {
    Process {
        id: u32,
        name: String,
    },
    /// A listener without a process: the kernel is about to free it.
    Nobody,
    /// Nobody listens (the port may be bound all the same), or we may not look.
    Unknown,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { id, name } => write!(f, "; process {id} ({name}) listens there"),
            Self::Nobody => f.write_str("; its process has ended, but the kernel has not freed it"),
            Self::Unknown => Ok(()),
        }
    }
}

/// Looks through /proc for the process that listens on `port`.
fn holder(port: u16) -> Holder {
    let listeners: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| {
            listening(&table, port).map(|inode| format!("socket:[{inode}]")).collect::<Vec<_>>()
        })
        .collect();
    let Ok(processes) = fs::read_dir("/proc") else { return Holder::Unknown };
    if listeners.is_empty() {
        return Holder::Unknown;
    }
    let mut all_seen = true;
    for process in processes.flatten() {
        let Some(id) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let descriptors = match fs::read_dir(process.path().join("fd")) {
            Ok(descriptors) => descriptors,
            Err(error) => {
                all_seen &= error.kind() == io::ErrorKind::NotFound;
                continue;
            }
        };
        let holds = descriptors
            .flatten()
            .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
            .any(|target| listeners.iter().any(|listener| target.as_os_str() == listener.as_str()));
        if holds {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Holder::Process { id, name: name.trim().to_owned() };
        }
    }
    if all_seen { Holder::Nobody } else { Holder::Unknown }
}

/// The inodes of the sockets that listen on `port`, from the text of /proc/net/tcp or tcp6.
fn listening(table: &str, port: u16) -> impl Iterator<Item = &str> {
    const LISTEN: &str = "0A";
    table.lines().skip(1).filter_map(move |line| {
        let mut fields = line.split_ascii_whitespace();
        let (_address, number) = fields.nth(1)?.rsplit_once(':')?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?;
        let ours = u16::from_str_radix(number, 16) == Ok(port) && state == LISTEN;
        ours.then_some(inode)
    })
}

#[cfg(test)]
#[expect(unsafe_code, reason = "descriptors are sent by a system call that std does not have")]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn the_table_of_sockets_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:2384 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n\
             1: 0100007F:2384 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1\n\
             2: 0100007F:2385 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0\n\
             3: short";
        assert_eq!(listening(table, 0x2384).collect::<Vec<_>>(), ["4711"]);
        assert_eq!(listening(table, 1).count(), 0);
    }

    #[test]
    fn a_listener_without_a_process_is_told_from_one_that_is_used() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        // A descriptor that lies in a socket's queue belongs to no process.
        let (queue, other_end) = UnixDatagram::pair().unwrap();
        send_descriptor(&queue, &listener);
        drop(listener);
        assert_eq!(holder(addr.port()), Holder::Nobody);
        drop((queue, other_end));
        assert_eq!(PortClaim::new(addr).unwrap().addr(), addr);
    }

    fn send_descriptor(queue: &UnixDatagram, sent: &impl AsRawFd) {
        let mut byte = 0_u8;
        let mut piece = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        let mut control = [0_u64; 4];
        // SAFETY: all zeros are a valid, empty message header.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &raw mut piece;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        // SAFETY: plain arithmetic.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(size_of::<i32>() as u32) } as usize;
        assert!(message.msg_controllen <= size_of_val(&control));
        // SAFETY: `control` is aligned for a control header and has room for one descriptor.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size_of::<i32>() as u32) as usize;
            libc::CMSG_DATA(header).cast::<i32>().write_unaligned(sent.as_raw_fd());
        }
        // SAFETY: the message points to `byte` and `control`, which live through the call.
        let count = unsafe { libc::sendmsg(queue.as_raw_fd(), &raw const message, 0) };
        assert_eq!(count, 1);
    }

    #[test]
    fn who_listens_is_named() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let Holder::Process { id, name } = holder(addr.port()) else {
            panic!("{:?}", holder(addr.port()));
        };
        assert_eq!(id, std::process::id());
        let refused = PortClaim::new(addr).err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        assert!(
            refused.to_string().contains(&format!("process {id} ({name}) listens there")),
            "{refused}"
        );
        drop(listener);
        assert_eq!(PortClaim::new(addr).unwrap().addr(), addr);
    }
}
