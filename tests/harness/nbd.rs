//! A network block device server for one device: what `nbdfuse` needs and no more.
//!
//! Fixed newstyle negotiation and simple replies, as the NBD protocol document describes them. Numbers
//! are big-endian.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::device::Medium;

const GREETING: &[u8; 16] = b"NBDMAGICIHAVEOPT";
const OPTION_REPLY: u64 = 0x0003_E889_0455_65A9;
const REQUEST: u32 = 0x2560_9513;
const REPLY: u32 = 0x6744_6698;

/// Fixed newstyle, and no padding after an export name.
const HANDSHAKE_FLAGS: u16 = 0b11;
/// Flags are given, flush and forced unit access are understood, several connections see one cache.
const DEVICE_FLAGS: u16 = 0b1_0000_1101;
const FORCED: u16 = 1;

const EXPORT_NAME: u32 = 1;
const ABORT: u32 = 2;
const INFO: u32 = 6;
const GO: u32 = 7;
const ACKNOWLEDGED: u32 = 1;
const INFORMATION: u32 = 3;
const UNSUPPORTED: u32 = 0x8000_0001;

const READ: u16 = 0;
const WRITE: u16 = 1;
const DISCONNECT: u16 = 2;
const FLUSH: u16 = 3;

const IO_ERROR: u32 = 5;
const INVALID: u32 = 22;

/// No sane client asks for more at once.
const LENGTH_MAX: u32 = 64 << 20;

/// Serves the medium on a socket until the process ends.
///
/// # Errors
/// When the socket cannot be bound.
pub fn serve(socket: &Path, medium: &Arc<Mutex<Medium>>) -> io::Result<()> {
    let listener = UnixListener::bind(socket)?;
    let medium = Arc::clone(medium);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let medium = Arc::clone(&medium);
            // A client that goes away ends its connection, not the device.
            thread::spawn(move || drop(talk(stream, &medium)));
        }
    });
    Ok(())
}

fn talk(mut stream: UnixStream, medium: &Mutex<Medium>) -> io::Result<()> {
    let size = locked(medium)?.size();
    if !negotiate(&mut stream, size)? {
        return Ok(());
    }
    loop {
        let mut head = [0; 28];
        stream.read_exact(&mut head)?;
        let request = Head::of(&head)?;
        match request.kind {
            READ => {
                let mut data = vec![0; request.length as usize];
                match locked(medium)?.read(request.offset, &mut data) {
                    Ok(()) => {
                        answer(&mut stream, 0, request.handle)?;
                        stream.write_all(&data)?;
                    }
                    Err(_refused) => answer(&mut stream, IO_ERROR, request.handle)?,
                }
            }
            WRITE => {
                let mut data = vec![0; request.length as usize];
                stream.read_exact(&mut data)?;
                let forced = request.flags & FORCED != 0;
                let done = locked(medium)?.write(request.offset, &data, forced);
                answer(&mut stream, if done.is_ok() { 0 } else { IO_ERROR }, request.handle)?;
            }
            FLUSH => {
                let done = locked(medium)?.flush();
                answer(&mut stream, if done.is_ok() { 0 } else { IO_ERROR }, request.handle)?;
            }
            DISCONNECT => return Ok(()),
            _ => answer(&mut stream, INVALID, request.handle)?,
        }
    }
}

fn locked(medium: &Mutex<Medium>) -> io::Result<std::sync::MutexGuard<'_, Medium>> {
    medium.lock().map_err(|_poisoned| io::Error::other("the medium is broken"))
}

/// Agrees on the one device there is. False when the client gave up.
fn negotiate(stream: &mut UnixStream, size: u64) -> io::Result<bool> {
    stream.write_all(GREETING)?;
    stream.write_all(&HANDSHAKE_FLAGS.to_be_bytes())?;
    let mut flags = [0; 4];
    stream.read_exact(&mut flags)?;
    loop {
        let mut head = [0; 16];
        stream.read_exact(&mut head)?;
        let option = u32_at(&head, 8);
        let length = u32_at(&head, 12);
        if length > 4096 {
            return Err(io::Error::other("an option of the client is too long"));
        }
        let mut data = vec![0; length as usize];
        stream.read_exact(&mut data)?;
        match option {
            EXPORT_NAME => {
                stream.write_all(&size.to_be_bytes())?;
                stream.write_all(&DEVICE_FLAGS.to_be_bytes())?;
                return Ok(true);
            }
            INFO | GO => {
                let mut about = vec![0, 0];
                about.extend(size.to_be_bytes());
                about.extend(DEVICE_FLAGS.to_be_bytes());
                reply(stream, option, INFORMATION, &about)?;
                reply(stream, option, ACKNOWLEDGED, &[])?;
                if option == GO {
                    return Ok(true);
                }
            }
            ABORT => {
                reply(stream, option, ACKNOWLEDGED, &[])?;
                return Ok(false);
            }
            _ => reply(stream, option, UNSUPPORTED, &[])?,
        }
    }
}

fn reply(stream: &mut UnixStream, option: u32, kind: u32, data: &[u8]) -> io::Result<()> {
    let length = u32::try_from(data.len()).map_err(io::Error::other)?;
    let mut out = OPTION_REPLY.to_be_bytes().to_vec();
    for number in [option, kind, length] {
        out.extend(number.to_be_bytes());
    }
    out.extend(data);
    stream.write_all(&out)
}

fn answer(stream: &mut UnixStream, error: u32, handle: u64) -> io::Result<()> {
    let mut out = REPLY.to_be_bytes().to_vec();
    out.extend(error.to_be_bytes());
    out.extend(handle.to_be_bytes());
    stream.write_all(&out)
}

/// One request's fixed part.
struct Head {
    flags: u16,
    kind: u16,
    handle: u64,
    offset: u64,
    length: u32,
}

impl Head {
    fn of(bytes: &[u8; 28]) -> io::Result<Self> {
        let length = u32_at(bytes, 24);
        if u32_at(bytes, 0) != REQUEST || length > LENGTH_MAX {
            return Err(io::Error::other("not a request"));
        }
        Ok(Self {
            flags: u16::from_be_bytes([bytes[4], bytes[5]]),
            kind: u16::from_be_bytes([bytes[6], bytes[7]]),
            handle: u64_at(bytes, 8),
            offset: u64_at(bytes, 16),
            length,
        })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) << 32 | u64::from(u32_at(bytes, at + 4))
}
