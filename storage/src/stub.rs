//! In memory until the store on disk takes its place.
use protocol::*;
use runtime::*;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};
#[derive(Clone)]
pub struct Store(Rc<Inner>);
struct Inner {
    logs: RefCell<BTreeMap<TopicPartition, Log>>,
}
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Ticket(pub u64);
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("x")]
    X,
}
#[derive(Debug, thiserror::Error)]
#[error("fenced")]
pub struct Fenced;
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    #[error("x")]
    X,
}
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("x")]
    OutOfRange {},
}
#[derive(Clone)]
pub struct Log(Rc<LogInner>);
struct LogInner {
    id: TopicPartition,
    data: RefCell<Vec<(i64, i64, ChunkSlice)>>,
    end: Cell<i64>,
    start: Cell<i64>,
    world: World,
}
#[derive(Clone, Default)]
pub struct LogConfig;
impl LogConfig {
    pub fn keep_all() -> Self {
        Self
    }
}
pub struct AppendContext {
    pub epoch: LeaderEpoch,
    pub now_ms: i64,
}
pub struct Appended {
    pub base_offset: Offset,
    pub next_offset: Offset,
    pub log_append_time_ms: i64,
    pub duplicate: bool,
    pub ticket: Ticket,
}
pub struct ReadLimit {
    pub max_bytes: usize,
    pub end: Offset,
    pub at_least_one: bool,
}
pub struct ReadOutcome {
    pub slices: Vec<ReadBlock>,
    pub next: Offset,
}
thread_local! {static W:RefCell<Option<World>> =const{RefCell::new(None)};}
impl Store {
    pub async fn open(world: World) -> Result<Self, StoreError> {
        W.with(|w| *w.borrow_mut() = Some(world));
        Ok(Self(Rc::new(Inner { logs: RefCell::default() })))
    }
    pub async fn create(
        &self,
        id: TopicPartition,
        _c: LogConfig,
        _e: LeaderEpoch,
    ) -> Result<Log, StoreError> {
        let l = Log(Rc::new(LogInner {
            id,
            data: RefCell::default(),
            end: Cell::new(0),
            start: Cell::new(0),
            world: W.with(|w| w.borrow().clone().unwrap()),
        }));
        self.0.logs.borrow_mut().insert(id, l.clone());
        Ok(l)
    }
    pub async fn delete(&self, id: TopicPartition) -> Result<(), StoreError> {
        self.0.logs.borrow_mut().remove(&id);
        Ok(())
    }
    pub async fn set_aside(&self, id: TopicPartition) -> Result<(), StoreError> {
        self.delete(id).await
    }
    pub fn log(&self, id: TopicPartition) -> Option<Log> {
        self.0.logs.borrow().get(&id).cloned()
    }
    pub fn logs(&self) -> std::vec::IntoIter<Log> {
        self.0.logs.borrow().values().cloned().collect::<Vec<_>>().into_iter()
    }
    pub fn fenced(&self) -> Option<String> {
        None
    }
    pub async fn durable(&self, _t: Ticket) -> Result<(), Fenced> {
        Ok(())
    }
    pub fn is_durable(&self, _t: Ticket) -> bool {
        true
    }
    pub async fn close(&self) {}
}
pub struct TimestampedOffset {
    pub offset: Offset,
    pub timestamp: i64,
}
impl Log {
    pub fn size_bytes(&self) -> u64 {
        self.0.data.borrow().iter().map(|b| b.2.len() as u64).sum()
    }
    pub fn epoch_end(&self, e: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        Some((e, self.log_end_offset()))
    }
    pub fn max_timestamp(&self) -> Option<(i64, Offset)> {
        let d = self.0.data.borrow();
        let h = |b: &ChunkSlice| BatchHeader::peek(b).unwrap().max_timestamp();
        d.iter().map(|b| (h(&b.2), Offset::new(b.0).unwrap())).max_by_key(|b| b.0)
    }
    pub fn trim(&self, to: Offset) -> Result<Ticket, StoreError> {
        self.0.start.set(to.get().max(self.0.start.get()));
        Ok(Ticket(1))
    }
    pub async fn offset_for_time(&self, t: i64) -> Result<Option<TimestampedOffset>, ReadError> {
        let d = self.0.data.borrow();
        for b in d.iter() {
            let batch = RawBatch(&b.2).check().unwrap();
            for r in batch.records() {
                let r = r.unwrap();
                if r.timestamp >= t && r.offset >= self.0.start.get() {
                    let offset = Offset::new(r.offset).unwrap();
                    return Ok(Some(TimestampedOffset { offset, timestamp: r.timestamp }));
                }
            }
        }
        Ok(None)
    }
    pub fn id(&self) -> TopicPartition {
        self.0.id
    }
    pub fn configure(&self, _: LogConfig) {}
    pub fn append(&self, b: &CheckedBatch<'_>, c: AppendContext) -> Result<Appended, AppendError> {
        let base = self.0.end.get();
        let ch = self.0.world.chunk(b.bytes().len());
        ch.push_with(b.bytes().len(), |o| b.copy_assigned(Offset::new(base).unwrap(), c.epoch, o))
            .unwrap();
        let n = b.bytes().len();
        let next = base + i64::from(b.offset_count());
        self.0.data.borrow_mut().push((base, next, ch.slice(0..n)));
        self.0.end.set(next);
        Ok(Appended {
            base_offset: Offset::new(base).unwrap(),
            next_offset: Offset::new(next).unwrap(),
            log_append_time_ms: -1,
            duplicate: false,
            ticket: Ticket(1),
        })
    }
    pub fn log_start_offset(&self) -> Offset {
        Offset::new(self.0.start.get()).unwrap()
    }
    pub fn log_end_offset(&self) -> Offset {
        Offset::new(self.0.end.get()).unwrap()
    }
    pub fn durable_offset(&self) -> Offset {
        self.log_end_offset()
    }
    pub async fn read(&self, from: Offset, l: ReadLimit) -> Result<ReadOutcome, ReadError> {
        let mut n = 0;
        let mut s = vec![];
        let d = self.0.data.borrow();
        let i = d.partition_point(|x| x.1 <= from.get());
        let mut next = from;
        for x in &d[i..] {
            if n + x.2.len() > l.max_bytes && !(l.at_least_one && s.is_empty()) {
                break;
            }
            n += x.2.len();
            s.push(x.2.clone().into());
            next = Offset::new(x.1).unwrap();
        }
        Ok(ReadOutcome { slices: s, next })
    }
}
