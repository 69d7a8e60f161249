//! The io_uring, and what of it takes unsafe code.
#![expect(unsafe_code, reason = "the kernel is handed raw pointers; see each block")]

use std::io;
use std::os::fd::RawFd;

use io_uring::{IoUring, opcode, squeue, types};

/// Entries of the submission queue: more than can ever be under way.
const ENTRIES: u32 = 256;

/// One ring, for one thread.
pub(crate) struct Ring {
    ring: IoUring,
}

/// What a completion is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Accepted,
    /// Of the peer in this slot.
    Received(u32),
    Sent(u32),
    /// Of the write with this number, modulo 2^32.
    Written(u32),
}

impl Event {
    fn to_bits(self) -> u64 {
        let (kind, of) = match self {
            Self::Accepted => (0, 0),
            Self::Received(of) => (1, of),
            Self::Sent(of) => (2, of),
            Self::Written(of) => (3, of),
        };
        kind << 32 | u64::from(of)
    }

    fn from_bits(bits: u64) -> Self {
        let of = bits as u32;
        match bits >> 32 {
            0 => Self::Accepted,
            1 => Self::Received(of),
            2 => Self::Sent(of),
            _ => Self::Written(of),
        }
    }
}

impl Ring {
    pub(crate) fn new() -> io::Result<Self> {
        let ring = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(ENTRIES)?;
        Ok(Self { ring })
    }

    /// Hands `buffers` to the kernel once and for all.
    ///
    /// The caller keeps them where they are for as long as the ring lives.
    pub(crate) fn register(&self, buffers: &[&'static mut [u8]]) -> io::Result<()> {
        let slices: Vec<libc::iovec> = buffers
            .iter()
            .map(|buffer| libc::iovec {
                iov_base: buffer.as_ptr().cast_mut().cast(),
                iov_len: buffer.len(),
            })
            .collect();
        // SAFETY: the buffers are 'static, so they are valid until the ring is gone.
        unsafe { self.ring.submitter().register_buffers(&slices) }
    }

    /// Waits for at least one completion and gives all that are there.
    pub(crate) fn wait(&mut self, into: &mut Vec<(Event, i32)>) -> io::Result<()> {
        into.clear();
        loop {
            match self.ring.submit_and_wait(1) {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        for completion in self.ring.completion() {
            into.push((Event::from_bits(completion.user_data()), completion.result()));
        }
        Ok(())
    }

    pub(crate) fn accept(&mut self, listener: RawFd) -> io::Result<()> {
        let accept =
            opcode::Accept::new(types::Fd(listener), std::ptr::null_mut(), std::ptr::null_mut());
        self.push(&accept.build(), Event::Accepted)
    }

    /// `into` must stay where it is until the completion: the caller's duty.
    pub(crate) fn receive(&mut self, fd: RawFd, into: &mut [u8], peer: u32) -> io::Result<()> {
        let bytes = u32::try_from(into.len()).unwrap_or(u32::MAX);
        let receive = opcode::Recv::new(types::Fd(fd), into.as_mut_ptr(), bytes);
        self.push(&receive.build(), Event::Received(peer))
    }

    /// `bytes` must stay where they are until the completion: the caller's duty.
    pub(crate) fn send(&mut self, fd: RawFd, bytes: &[u8], peer: u32) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let send =
            opcode::Send::new(types::Fd(fd), bytes.as_ptr(), length).flags(libc::MSG_NOSIGNAL);
        self.push(&send.build(), Event::Sent(peer))
    }

    /// Writes the front of a registered buffer.
    pub(crate) fn write(&mut self, write: &Write<'_>) -> io::Result<()> {
        let bytes = u32::try_from(write.bytes.len()).unwrap_or(u32::MAX);
        let fixed =
            opcode::WriteFixed::new(types::Fd(write.fd), write.bytes.as_ptr(), bytes, write.buffer);
        let flags = if write.durable { libc::RWF_DSYNC } else { 0 };
        self.push(&fixed.offset(write.at).rw_flags(flags).build(), Event::Written(write.number))
    }

    fn push(&mut self, entry: &squeue::Entry, event: Event) -> io::Result<()> {
        let entry = entry.clone().user_data(event.to_bits());
        // SAFETY: what the entry points to outlives its completion; see each caller.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        pushed.map_err(|full| io::Error::other(full.to_string()))
    }
}

/// One write of a registered buffer.
pub(crate) struct Write<'a> {
    pub(crate) fd: RawFd,
    /// Where in the file.
    pub(crate) at: u64,
    /// The front of the buffer, in whole blocks.
    pub(crate) bytes: &'a [u8],
    /// Which of the registered buffers.
    pub(crate) buffer: u16,
    pub(crate) durable: bool,
    pub(crate) number: u32,
}

/// Ties this thread to one CPU.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    let bits = 8 * size_of::<libc::cpu_set_t>();
    if cpu >= bits {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: a set of zeros is a valid set, and `cpu` lies inside it.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_the_kernel() {
        for event in
            [Event::Accepted, Event::Received(3), Event::Sent(63), Event::Written(u32::MAX)]
        {
            assert_eq!(Event::from_bits(event.to_bits()), event);
        }
    }
}
