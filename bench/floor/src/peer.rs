//! One producer's connection: bytes in, answers out, in the order of their requests.

use std::collections::VecDeque;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsRawFd, RawFd};

/// Room for the largest request and what follows it.
const INTAKE_BYTES: usize = 8 << 20;
/// Larger requests end their connection.
const FRAME_BYTES_MAX: usize = 4 << 20;

/// A connection and its buffers. Nothing in here moves while the kernel holds a pointer into it:
/// the intake has a fixed size, and what is being sent is not touched.
pub(crate) struct Peer {
    stream: TcpStream,
    intake: Box<[u8]>,
    /// What of the intake is filled and not handled yet.
    from: usize,
    to: usize,
    pub(crate) receiving: bool,
    /// Answers, and up to where they may leave.
    out: Vec<u8>,
    free: usize,
    /// For each held answer, the write it waits for and where in `out` it ends.
    held: VecDeque<(u64, usize)>,
    sending: Vec<u8>,
    sent: usize,
    pub(crate) gone: bool,
}

/// A request's frame, or why there is none.
pub(crate) enum Front {
    /// Behind the length prefix.
    Frame(std::ops::Range<usize>),
    Part,
    TooLarge,
}

impl Peer {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            intake: vec![0; INTAKE_BYTES].into_boxed_slice(),
            from: 0,
            to: 0,
            receiving: false,
            out: Vec::new(),
            free: 0,
            held: VecDeque::new(),
            sending: Vec::new(),
            sent: 0,
            gone: false,
        }
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    pub(crate) fn received(&mut self, bytes: usize) {
        self.to += bytes;
    }

    /// The first request that was not handled yet.
    pub(crate) fn front(&self) -> Front {
        let have = &self.intake[self.from..self.to];
        let Some((prefix, rest)) = have.split_first_chunk::<4>() else { return Front::Part };
        let bytes = u32::from_be_bytes(*prefix) as usize;
        if bytes > FRAME_BYTES_MAX {
            return Front::TooLarge;
        }
        if rest.len() < bytes {
            return Front::Part;
        }
        Front::Frame(self.from + 4..self.from + 4 + bytes)
    }

    /// The frame's bytes and the place for its answer.
    pub(crate) fn work(&mut self, frame: &std::ops::Range<usize>) -> (&[u8], &mut Vec<u8>) {
        (&self.intake[frame.clone()], &mut self.out)
    }

    /// The frame was handled; its answer, if it has one, waits for `write`.
    pub(crate) fn handled(&mut self, frame: &std::ops::Range<usize>, write: Option<u64>) {
        self.from = frame.end;
        match (write, self.held.back_mut()) {
            // An answer behind a held one leaves no earlier than that.
            (None, None) => self.free = self.out.len(),
            (None, Some(last)) => last.1 = self.out.len(),
            (Some(write), Some(last)) if last.0 == write => last.1 = self.out.len(),
            (Some(write), _) => self.held.push_back((write, self.out.len())),
        }
    }

    /// Lets every answer leave whose write is done.
    pub(crate) fn release(&mut self, done: impl Fn(u64) -> bool) {
        while let Some(&(write, end)) = self.held.front()
            && done(write)
        {
            self.free = end;
            self.held.pop_front();
        }
    }

    /// Where the next bytes go; moves what is left to the front first.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.from > 0 {
            self.intake.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
        }
        &mut self.intake[self.to..]
    }

    /// What to send now; none while a send is under way or nothing may leave.
    pub(crate) fn start_sending(&mut self) -> Option<&[u8]> {
        if !self.sending.is_empty() || self.free == 0 {
            return None;
        }
        self.sending.extend_from_slice(&self.out[..self.free]);
        self.out.drain(..self.free);
        for (_, end) in &mut self.held {
            *end -= self.free;
        }
        self.free = 0;
        self.sent = 0;
        Some(&self.sending)
    }

    /// Notes that so much was sent; gives the rest, if there is one.
    pub(crate) fn sent(&mut self, bytes: usize) -> Option<&[u8]> {
        self.sent += bytes;
        if self.sent < self.sending.len() {
            return Some(&self.sending[self.sent..]);
        }
        self.sending.clear();
        None
    }

    /// Closes the connection, which ends what the kernel has under way. Gives whether it has let go
    /// of this peer's buffers.
    pub(crate) fn close(&self) -> bool {
        // It may be closed already.
        let _closed = self.stream.shutdown(Shutdown::Both);
        !self.receiving && self.sending.is_empty()
    }

    /// A failed send leaves nothing to wait for.
    pub(crate) fn drop_output(&mut self) {
        self.sending.clear();
        self.gone = true;
    }
}

#[cfg(test)]
mod tests;
