//! A network of simulated machines: connections are first in, first out, and break.
//!
//! Every connection is two pipes. What is sent arrives after the link's delay, in order, in pieces
//! of any size. A link that is cut holds everything back until it is healed, in that direction
//! only; a reset breaks both directions and loses what was under way.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, IoSlice};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::disk::Latency;
use super::{NodeId, World, salt};
use crate::Nanos;
use crate::net::ListenOptions;
use crate::random::Rng;
use crate::sync::{Notify, Queue};

/// Bytes one direction of a connection holds before the sender waits.
const WINDOW_BYTES: usize = 256 << 10;
const FIRST_EPHEMERAL_PORT: u16 = 49152;

/// The network of a simulation. Cheap to clone.
#[derive(Clone)]
pub struct SimNet(Rc<State>);

struct State {
    listeners: RefCell<BTreeMap<SocketAddr, Vec<Rc<Accepting>>>>,
    connections: RefCell<Vec<Weak<Connection>>>,
    links: RefCell<BTreeMap<(NodeId, NodeId), LinkFaults>>,
    default_link: RefCell<LinkFaults>,
    /// A link was healed or changed.
    changed: Notify,
    next_port: Cell<u16>,
    rng: RefCell<Rng>,
}

/// How the way from one node to another behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkFaults {
    /// How long a byte is under way.
    pub delay: Latency,
    /// The chance that a send breaks its connection.
    pub reset: f64,
    /// Nothing arrives until this is false again.
    pub cut: bool,
    /// The chance that a read returns only part of what has arrived.
    pub split: f64,
}

impl Default for LinkFaults {
    /// A good local network that splits reads now and then.
    fn default() -> Self {
        let delay = Latency { least: Duration::from_micros(20), spread: Duration::from_micros(80) };
        Self { delay, reset: 0.0, cut: false, split: 0.25 }
    }
}

impl SimNet {
    pub(super) fn new(seed: u64) -> Self {
        Self(Rc::new(State {
            listeners: RefCell::default(),
            connections: RefCell::default(),
            links: RefCell::default(),
            default_link: RefCell::default(),
            changed: Notify::new(),
            next_port: Cell::new(FIRST_EPHEMERAL_PORT),
            rng: RefCell::new(Rng::new(seed, salt::NET)),
        }))
    }

    /// Sets every way that has no setting of its own.
    pub fn set_all(&self, faults: LinkFaults) {
        *self.0.default_link.borrow_mut() = faults;
        self.0.changed.notify_all();
    }

    /// Sets the way from one node to another, one direction.
    pub fn set_link(&self, from: NodeId, to: NodeId, faults: LinkFaults) {
        self.0.links.borrow_mut().insert((from, to), faults);
        self.0.changed.notify_all();
    }

    /// How the way from one node to another behaves now.
    pub fn link(&self, from: NodeId, to: NodeId) -> LinkFaults {
        let links = self.0.links.borrow();
        links.get(&(from, to)).cloned().unwrap_or_else(|| self.0.default_link.borrow().clone())
    }

    /// Cuts or heals the way from one node to another, one direction.
    pub fn set_cut(&self, from: NodeId, to: NodeId, cut: bool) {
        let link = LinkFaults { cut, ..self.link(from, to) };
        self.set_link(from, to, link);
    }

    /// Breaks every connection between two nodes.
    pub fn reset(&self, one: NodeId, other: NodeId) {
        self.break_where(|ends| ends == [one, other] || ends == [other, one]);
    }

    /// Frees a node's ports and breaks its connections.
    pub(super) fn break_node(&self, node: NodeId) {
        let gone: Vec<_> = {
            let mut listeners = self.0.listeners.borrow_mut();
            let gone = listeners.values().flatten().filter(|l| l.node == node).cloned().collect();
            for accepting in listeners.values_mut() {
                accepting.retain(|accepting| accepting.node != node);
            }
            listeners.retain(|_, accepting| !accepting.is_empty());
            gone
        };
        for accepting in gone {
            accepting.accepted.close();
        }
        self.break_where(|ends| ends.contains(&node));
    }

    fn break_where(&self, chosen: impl Fn([NodeId; 2]) -> bool) {
        let live: Vec<_> = {
            let mut connections = self.0.connections.borrow_mut();
            connections.retain(|connection| connection.strong_count() > 0);
            connections.iter().filter_map(Weak::upgrade).collect()
        };
        for connection in live {
            if chosen(connection.nodes) {
                connection.reset();
            }
        }
    }

    fn port(&self) -> u16 {
        let port = self.0.next_port.get();
        self.0.next_port.set(port.checked_add(1).unwrap_or(FIRST_EPHEMERAL_PORT));
        port
    }

    fn delay(&self, from: NodeId, to: NodeId) -> Duration {
        let delay = self.link(from, to).delay;
        let spread = delay.spread.as_nanos() as u64;
        let more = if spread == 0 { 0 } else { self.0.rng.borrow_mut().below(spread) };
        delay.least + Duration::from_nanos(more)
    }

    /// Waits while the way is cut.
    async fn passable(&self, from: NodeId, to: NodeId) {
        while self.link(from, to).cut {
            self.0.changed.notified().await;
        }
    }
}

/// What a listener's connections wait in.
struct Accepting {
    node: NodeId,
    shared: bool,
    accepted: Queue<Stream>,
}

pub(crate) struct Listener {
    net: SimNet,
    accepting: Rc<Accepting>,
    addr: SocketAddr,
}

impl Listener {
    pub(crate) fn bind(
        world: &World,
        mut addr: SocketAddr,
        options: ListenOptions,
    ) -> io::Result<Self> {
        let net = world.net().clone();
        if addr.port() == 0 {
            addr.set_port(net.port());
        }
        let accepting = Rc::new(Accepting {
            node: world.node(),
            shared: options.shared,
            accepted: Queue::new(options.backlog as usize),
        });
        let mut listeners = net.0.listeners.borrow_mut();
        let there = listeners.entry(addr).or_default();
        let may_join =
            there.iter().all(|other| other.shared && options.shared && other.node == world.node());
        if !may_join {
            let message = format!("{addr}: address in use");
            return Err(io::Error::new(ErrorKind::AddrInUse, message));
        }
        there.push(accepting.clone());
        drop(listeners);
        Ok(Self { net, accepting, addr })
    }

    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        let closed = || io::Error::new(ErrorKind::ConnectionAborted, "no longer listening");
        self.accepting.accepted.pop().await.ok_or_else(closed)
    }

    pub(crate) fn close(&self) {
        let mut listeners = self.net.0.listeners.borrow_mut();
        if let Some(there) = listeners.get_mut(&self.addr) {
            there.retain(|other| !Rc::ptr_eq(other, &self.accepting));
            if there.is_empty() {
                listeners.remove(&self.addr);
            }
        }
        drop(listeners);
        self.accepting.accepted.close();
        while self.accepting.accepted.try_pop().is_some() {}
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

/// Both directions between two ends. End 0 connected, end 1 accepted.
struct Connection {
    world: World,
    nodes: [NodeId; 2],
    addrs: [SocketAddr; 2],
    /// `pipes[end]` holds what `end` sent.
    pipes: [Pipe; 2],
    broken: Cell<bool>,
}

#[derive(Default)]
struct Pipe {
    flying: RefCell<VecDeque<(Nanos, Bytes)>>,
    flying_bytes: Cell<usize>,
    /// When the last byte arrives: nothing overtakes.
    last_arrival: Cell<Nanos>,
    /// The sender sends no more; the end of the stream arrives then.
    ended: Cell<Option<Nanos>>,
    /// The receiver reads no more.
    deaf: Cell<bool>,
    /// Something was sent, taken, ended or broken.
    changed: Notify,
}

impl Connection {
    fn reset(&self) {
        self.broken.set(true);
        for pipe in &self.pipes {
            pipe.flying.borrow_mut().clear();
            pipe.changed.notify_all();
        }
    }

    fn shutdown(&self, end: usize, how: Shutdown) {
        if matches!(how, Shutdown::Write | Shutdown::Both) {
            let pipe = &self.pipes[end];
            if pipe.ended.get().is_none() {
                let delay = self.world.net().delay(self.nodes[end], self.nodes[1 - end]);
                let at = (self.world.now() + delay).max(pipe.last_arrival.get());
                pipe.ended.set(Some(at));
                pipe.changed.notify_all();
            }
        }
        if matches!(how, Shutdown::Read | Shutdown::Both) {
            self.pipes[1 - end].deaf.set(true);
            self.pipes[1 - end].changed.notify_all();
        }
    }

    /// Waits until something can be read: bytes, or the end of the stream.
    async fn readable(&self, end: usize) -> io::Result<()> {
        let (from, to) = (self.nodes[1 - end], self.nodes[end]);
        let pipe = &self.pipes[1 - end];
        loop {
            if self.broken.get() {
                return Err(ErrorKind::ConnectionReset.into());
            }
            if pipe.deaf.get() {
                return Ok(());
            }
            let changed = pipe.changed.notified();
            let first = pipe.flying.borrow().front().map(|(at, _)| *at);
            let Some(arrival) = first.or(pipe.ended.get()) else {
                changed.await;
                continue;
            };
            let net = self.world.net();
            if net.link(from, to).cut {
                futures_lite::future::or(net.passable(from, to), changed).await;
            } else if arrival > self.world.now() {
                let arrives = self.world.executor().sleep_until(arrival);
                futures_lite::future::or(arrives, changed).await;
            } else {
                return Ok(());
            }
        }
    }

    async fn read(&self, end: usize, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        self.readable(end).await?;
        Ok(self.take(end, into))
    }

    /// Takes what has arrived, or a part of it.
    fn take(&self, end: usize, into: &mut [u8]) -> usize {
        let pipe = &self.pipes[1 - end];
        if pipe.deaf.get() {
            return 0;
        }
        let now = self.world.now();
        let split = self.world.net().link(self.nodes[1 - end], self.nodes[end]).split;
        let mut limit = into.len();
        {
            let mut rng = self.world.net().0.rng.borrow_mut();
            if rng.chance(split) {
                limit = 1 + rng.below(limit.min(2048) as u64) as usize;
            }
        }
        let mut flying = pipe.flying.borrow_mut();
        let mut taken = 0;
        while let Some((at, bytes)) = flying.front_mut() {
            if *at > now || taken == limit {
                break;
            }
            let count = bytes.len().min(limit - taken);
            bytes.copy_to_slice(&mut into[taken..taken + count]);
            taken += count;
            if bytes.is_empty() {
                flying.pop_front();
            }
        }
        drop(flying);
        pipe.flying_bytes.set(pipe.flying_bytes.get() - taken);
        pipe.changed.notify_all();
        taken
    }

    async fn send(&self, end: usize, slices: &[IoSlice<'_>]) -> io::Result<()> {
        let (from, to) = (self.nodes[end], self.nodes[1 - end]);
        let pipe = &self.pipes[end];
        for slice in slices {
            let mut rest: &[u8] = slice;
            while !rest.is_empty() {
                let changed = pipe.changed.notified();
                if self.broken.get() {
                    return Err(ErrorKind::ConnectionReset.into());
                }
                if pipe.ended.get().is_some() || pipe.deaf.get() {
                    return Err(ErrorKind::BrokenPipe.into());
                }
                let room = WINDOW_BYTES.saturating_sub(pipe.flying_bytes.get());
                if room == 0 {
                    changed.await;
                    continue;
                }
                let (now, later) = rest.split_at(rest.len().min(room));
                let reset = self.world.net().link(from, to).reset;
                if self.world.net().0.rng.borrow_mut().chance(reset) {
                    self.reset();
                    continue;
                }
                let delay = self.world.net().delay(from, to);
                let at = (self.world.now() + delay).max(pipe.last_arrival.get());
                pipe.last_arrival.set(at);
                pipe.flying_bytes.set(pipe.flying_bytes.get() + now.len());
                pipe.flying.borrow_mut().push_back((at, Bytes::copy_from_slice(now)));
                pipe.changed.notify_all();
                rest = later;
            }
        }
        Ok(())
    }
}

/// One end of a connection; dropping its last holder ends both directions.
struct End {
    connection: Rc<Connection>,
    end: usize,
}

impl Drop for End {
    fn drop(&mut self) {
        self.connection.shutdown(self.end, Shutdown::Both);
    }
}

pub(crate) struct Stream(Rc<End>);
pub(crate) struct Receiver(Rc<End>);
pub(crate) struct Sender(Rc<End>);
pub(crate) struct Closer(Weak<End>);

impl Closer {
    pub(crate) fn shutdown(&self, how: Shutdown) {
        if let Some(end) = self.0.upgrade() {
            end.connection.shutdown(end.end, how);
        }
    }
}

impl Stream {
    pub(crate) async fn connect(world: &World, addr: SocketAddr) -> io::Result<Self> {
        let net = world.net().clone();
        let refused = || io::Error::new(ErrorKind::ConnectionRefused, format!("{addr}: refused"));
        let find = || {
            let listeners = net.0.listeners.borrow();
            let there = listeners.get(&addr)?;
            let choice = net.0.rng.borrow_mut().below(there.len() as u64) as usize;
            Some(there[choice].clone())
        };
        let Some(target) = find() else {
            world.sleep(net.delay(world.node(), world.node())).await;
            return Err(refused());
        };
        let (from, to) = (world.node(), target.node);
        net.passable(from, to).await;
        world.sleep(net.delay(from, to)).await;
        net.passable(to, from).await;
        world.sleep(net.delay(to, from)).await;
        // Who listened may have gone meanwhile, or come back.
        let target = find().ok_or_else(refused)?;
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, net.port()));
        let connection = Rc::new(Connection {
            world: world.clone(),
            nodes: [from, target.node],
            addrs: [local, addr],
            pipes: Default::default(),
            broken: Cell::new(false),
        });
        let mut connections = net.0.connections.borrow_mut();
        if connections.len() == connections.capacity() {
            connections.retain(|connection| connection.strong_count() > 0);
        }
        connections.push(Rc::downgrade(&connection));
        drop(connections);
        let ours = Self(Rc::new(End { connection: connection.clone(), end: 0 }));
        let theirs = Self(Rc::new(End { connection, end: 1 }));
        target.accepted.try_push(theirs).map_err(|_full_or_closed| refused())?;
        Ok(ours)
    }

    pub(crate) fn split(self) -> (Receiver, Sender) {
        (Receiver(self.0.clone()), Sender(self.0))
    }
    pub(crate) fn closer(&self) -> Closer {
        Closer(Rc::downgrade(&self.0))
    }
    pub(crate) fn peer_addr(&self) -> SocketAddr {
        self.0.peer_addr()
    }
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.0.connection.addrs[self.0.end]
    }
    pub(crate) fn shutdown(&self, how: Shutdown) {
        self.0.connection.shutdown(self.0.end, how);
    }
}

impl End {
    fn peer_addr(&self) -> SocketAddr {
        self.connection.addrs[1 - self.end]
    }
}

impl Receiver {
    pub(crate) async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.connection.read(self.0.end, into).await
    }
    pub(crate) async fn read_buf(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        self.0.connection.readable(self.0.end).await?;
        let (len, capacity) = (buffer.len(), buffer.capacity());
        buffer.resize(capacity, 0);
        let count = self.0.connection.take(self.0.end, &mut buffer[len..]);
        buffer.truncate(len + count);
        Ok(count)
    }
    pub(crate) fn peer_addr(&self) -> SocketAddr {
        self.0.peer_addr()
    }
    pub(crate) fn shutdown(&self, how: Shutdown) {
        self.0.connection.shutdown(self.0.end, how);
    }
}

impl Sender {
    pub(crate) async fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        self.0.connection.send(self.0.end, slices).await
    }
    pub(crate) fn peer_addr(&self) -> SocketAddr {
        self.0.peer_addr()
    }
    pub(crate) fn shutdown(&self, how: Shutdown) {
        self.0.connection.shutdown(self.0.end, how);
    }
}
