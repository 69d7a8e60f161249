//! One connection: requests go out in the order of their calls, many at a time, and each answer finds its caller.

mod framing;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_lite::future::or;
use runtime::sync::{Notify, OneReceiver, OneSender, Permit, Semaphore, oneshot};
use runtime::{Receiver, Sender, Stream, TaskClass, World};

pub(crate) use self::framing::Framing;
use crate::config::ClusterConfig;
use crate::error::ChannelError;

/// How much is read at once when no large answer is under way.
const READ_BYTES: usize = 64 << 10;
/// Slices handed to one gathered send; the kernel takes at most 1024.
const SLICES_MAX: usize = 256;

/// A connection. It ends when the last handle is dropped.
#[derive(Clone)]
pub(crate) struct Channel(Rc<Handle>);

struct Handle {
    shared: Rc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.end("closed by this client");
    }
}

struct Shared {
    address: String,
    framing: Framing,
    next_correlation: Cell<i32>,
    lines: RefCell<Lines>,
    in_flight: Semaphore,
    /// Something to send, or the end.
    wake: Notify,
    ended: Notify,
}

#[derive(Default)]
struct Lines {
    outgoing: VecDeque<Outgoing>,
    waiting: VecDeque<Waiting>,
    /// Why the connection is of no more use.
    end: Option<String>,
}

struct Outgoing {
    segments: Vec<Bytes>,
    /// Told when the bytes were handed to the network, for requests that get no answer.
    sent: Option<Waiting>,
}

struct Waiting {
    correlation: i32,
    reply: OneSender<Bytes>,
    _permit: Permit,
}

/// Room for one more request on the way.
pub(crate) struct Admission(Permit);

/// An answer that has not come yet.
pub(crate) struct Pending {
    reply: OneReceiver<Bytes>,
}

/// Whether a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    Answer,
    /// The request is never answered (Kafka's acks 0): it is done when it was handed to the network.
    Nothing,
}

impl Channel {
    /// Connects to `address`, `host:port`.
    pub(crate) async fn connect(
        world: &World,
        address: &str,
        framing: Framing,
        config: &ClusterConfig,
    ) -> Result<Self, ChannelError> {
        let failed = |reason: String| ChannelError::Connect { address: address.to_owned(), reason };
        let found = resolve(world, address, config.dialect.default_port()).await.map_err(failed)?;
        let mut reason = "the name has no address".to_owned();
        for candidate in found {
            match world.timeout(config.connect_timeout, world.connect(candidate)).await {
                Ok(Ok(stream)) => {
                    return Ok(Self::start(world, address, stream, (framing, config)));
                }
                Ok(Err(error)) => reason = error.to_string(),
                Err(_elapsed) => {
                    reason = format!("no answer within {} ms", config.connect_timeout.as_millis());
                }
            }
        }
        Err(failed(reason))
    }

    fn start(
        world: &World,
        address: &str,
        stream: Stream,
        (framing, config): (Framing, &ClusterConfig),
    ) -> Self {
        let shared = Rc::new(Shared {
            address: address.to_owned(),
            framing,
            next_correlation: Cell::new(1),
            lines: RefCell::default(),
            in_flight: Semaphore::new(config.in_flight_max.max(1) as u64),
            wake: Notify::new(),
            ended: Notify::new(),
        });
        let (receiver, sender) = stream.split();
        world.spawn(TaskClass::Serve, send_all(Rc::clone(&shared), sender));
        world.spawn(TaskClass::Serve, receive_all(Rc::clone(&shared), receiver));
        Self(Rc::new(Handle { shared }))
    }

    /// Waits until one more request may be on its way.
    pub(crate) async fn admit(&self) -> Admission {
        Admission(self.0.shared.in_flight.acquire(1).await)
    }

    /// Queues a request; the order of calls is the order on the wire. `encode` is given the correlation id and
    /// answers the frame in segments that are sent one after the other without being joined.
    pub(crate) fn submit(
        &self,
        admission: Admission,
        expect: Expect,
        encode: impl FnOnce(i32) -> Result<Vec<Bytes>, ChannelError>,
    ) -> Result<Pending, ChannelError> {
        let shared = &self.0.shared;
        let correlation = shared.next_correlation.get();
        shared.next_correlation.set(correlation.checked_add(1).unwrap_or(1));
        let segments = encode(correlation)?;
        let (sender, reply) = oneshot();
        let waiting = Waiting { correlation, reply: sender, _permit: admission.0 };
        let mut lines = shared.lines.borrow_mut();
        if let Some(reason) = &lines.end {
            return Err(shared.lost(reason));
        }
        let sent = match expect {
            Expect::Answer => {
                lines.waiting.push_back(waiting);
                None
            }
            Expect::Nothing => Some(waiting),
        };
        lines.outgoing.push_back(Outgoing { segments, sent });
        drop(lines);
        shared.wake.notify_one();
        Ok(Pending { reply })
    }

    /// Waits for an answer, at most `timeout`. After that the connection is closed: answers come in order, so
    /// nothing behind the late one would come either.
    pub(crate) async fn answer(
        &self,
        world: &World,
        pending: Pending,
        timeout: Duration,
    ) -> Result<Bytes, ChannelError> {
        let shared = &self.0.shared;
        match world.timeout(timeout, pending.reply).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_dropped)) => Err(shared.lost_now()),
            Err(_elapsed) => {
                let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                shared.end(&format!("an answer took longer than {timeout_ms} ms"));
                Err(ChannelError::TimedOut { address: shared.address.clone(), timeout_ms })
            }
        }
    }

    /// Closes the connection because of something the peer sent.
    pub(crate) fn malformed(&self, what: impl Into<String>) -> ChannelError {
        let what = what.into();
        self.0.shared.end(&what);
        ChannelError::Malformed { address: self.0.shared.address.clone(), what }
    }

    /// Whether it can still be used.
    pub(crate) fn is_alive(&self) -> bool {
        self.0.shared.lines.borrow().end.is_none()
    }

    /// The peer's `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.0.shared.address
    }
}

impl Shared {
    /// Ends the connection: nobody gets an answer any more.
    fn end(&self, reason: &str) {
        let mut lines = self.lines.borrow_mut();
        if lines.end.is_none() {
            lines.end = Some(reason.to_owned());
        }
        // Dropped outside the borrow: a reply wakes its caller, a permit the next in line.
        let dropped = (std::mem::take(&mut lines.waiting), std::mem::take(&mut lines.outgoing));
        drop(lines);
        drop(dropped);
        self.wake.notify_one();
        self.ended.notify_all();
    }

    fn has_ended(&self) -> bool {
        self.lines.borrow().end.is_some()
    }

    fn lost(&self, reason: &str) -> ChannelError {
        ChannelError::Lost { address: self.address.clone(), reason: reason.to_owned() }
    }

    fn lost_now(&self) -> ChannelError {
        let lines = self.lines.borrow();
        self.lost(lines.end.as_deref().unwrap_or("the request was dropped"))
    }

    /// Ends when the connection does.
    async fn until_end(&self) {
        loop {
            let ended = self.ended.notified();
            if self.has_ended() {
                return;
            }
            ended.await;
        }
    }

    fn deliver(&self, correlation: i32, frame: Bytes) -> Result<(), String> {
        let mut lines = self.lines.borrow_mut();
        // Kafka answers in order, so it is the first; a native peer may answer out of order.
        let place = lines.waiting.iter().position(|waiting| waiting.correlation == correlation);
        match place {
            Some(place) if place == 0 || self.framing.is_unordered() => {
                let waiting = lines.waiting.remove(place).expect("the place was just found");
                drop(lines);
                // The caller may have lost patience; then the answer is of no use.
                let _unwanted = waiting.reply.send(frame).err();
                Ok(())
            }
            Some(_) => Err(format!("an answer out of order (correlation id {correlation})")),
            None => Err(format!("an answer to no request (correlation id {correlation})")),
        }
    }
}

async fn send_all(shared: Rc<Shared>, mut sender: Sender) {
    let mut batch: Vec<Outgoing> = Vec::new();
    loop {
        {
            let mut lines = shared.lines.borrow_mut();
            let mut slices = 0;
            while let Some(next) = lines.outgoing.front() {
                slices += next.segments.len();
                if slices > SLICES_MAX && !batch.is_empty() {
                    break;
                }
                batch.extend(lines.outgoing.pop_front());
            }
        }
        if shared.has_ended() {
            break;
        }
        if batch.is_empty() {
            shared.wake.notified().await;
            continue;
        }
        let mut slices: Vec<IoSlice<'_>> = batch
            .iter()
            .flat_map(|outgoing| &outgoing.segments)
            .map(|segment| IoSlice::new(segment))
            .collect();
        let interrupted = async {
            shared.until_end().await;
            Ok(())
        };
        if let Err(error) = or(sender.send(&mut slices), interrupted).await {
            shared.end(&format!("sending failed: {error}"));
            break;
        }
        for sent in batch.drain(..).filter_map(|outgoing| outgoing.sent) {
            let _unwanted = sent.reply.send(Bytes::new()).err();
        }
    }
    // The receiving half may be waiting; this ends its wait.
    sender.shutdown(Shutdown::Both);
}

async fn receive_all(shared: Rc<Shared>, mut receiver: Receiver) {
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    let reason = loop {
        match take_frames(&shared, &mut buffer) {
            Ok(missing_bytes) => buffer.reserve(missing_bytes.max(READ_BYTES / 4)),
            Err(reason) => break reason,
        }
        let interrupted = async {
            shared.until_end().await;
            Ok(0)
        };
        match or(receiver.read_buf(&mut buffer), interrupted).await {
            Ok(0) if buffer.is_empty() => break "the peer closed it".to_owned(),
            Ok(0) => break "the peer closed it inside an answer".to_owned(),
            Ok(_) => {}
            Err(error) => break format!("receiving failed: {error}"),
        }
    };
    shared.end(&reason);
}

/// Hands out every whole frame; answers how many bytes the next one still lacks, as far as that is known.
fn take_frames(shared: &Shared, buffer: &mut BytesMut) -> Result<usize, String> {
    loop {
        let Some(frame_bytes) = shared.framing.frame_bytes(buffer)? else {
            return Ok(READ_BYTES);
        };
        if buffer.len() < frame_bytes {
            return Ok(frame_bytes - buffer.len());
        }
        let frame = buffer.split_to(frame_bytes).freeze();
        let correlation = shared.framing.correlation(&frame)?;
        shared.deliver(correlation, frame)?;
    }
}

/// Finds the addresses of `host:port`, or of `host` with the default port.
async fn resolve(
    world: &World,
    address: &str,
    default_port: u16,
) -> Result<Vec<SocketAddr>, String> {
    if let Ok(literal) = address.parse::<SocketAddr>() {
        return Ok(vec![literal]);
    }
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') => {
            let port = port.parse::<u16>().map_err(|_invalid| format!("{port:?} is no port"))?;
            (host.to_owned(), port)
        }
        Some(_) | None => (address.to_owned(), default_port),
    };
    // The system's resolver blocks.
    let found = world
        .blocking(move || (host.as_str(), port).to_socket_addrs().map(Iterator::collect))
        .await
        .map_err(|panic| panic.to_string())?;
    found.map_err(|error: std::io::Error| error.to_string())
}
