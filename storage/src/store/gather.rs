//! What waits to be written: appends and changes of all logs, gathered into groups.

use std::collections::VecDeque;

use crate::journal::entry::Run;
use crate::limits::{ENTRY_HEADER_BYTES, TABLE_ROW_BYTES};
use crate::log::Log;

/// A group in the making. Its sequence is the ticket of everything in it.
pub(crate) struct Gather {
    pub(crate) sequence: u64,
    pub(crate) items: Vec<Item>,
    /// Upper bound of the group's payload if nothing goes the direct way.
    pub(crate) bytes: usize,
    /// Nothing more is added.
    pub(crate) closed: bool,
    /// Written even if empty: it says that everything before it is durable.
    pub(crate) marker: bool,
}

pub(crate) enum Item {
    /// Consecutive bytes of one log.
    Run(PendingRun),
    /// An encoded entry.
    Entry(Vec<u8>),
    /// A log's last bytes once more, encoded.
    Repeated(PendingRun, Vec<u8>),
}

pub(crate) struct PendingRun {
    pub(crate) log: Log,
    pub(crate) run: Run,
    /// Bytes from the start of the segment.
    pub(crate) from: u32,
    pub(crate) to: u32,
}

impl PendingRun {
    pub(crate) fn bytes(&self) -> u32 {
        self.to - self.from
    }
}

/// Journal bytes of a run apart from its batches.
const RUN_OVERHEAD: usize = ENTRY_HEADER_BYTES + 56 + TABLE_ROW_BYTES;

/// The groups not yet taken by the writer, in order.
#[derive(Default)]
pub(crate) struct Gathers {
    waiting: VecDeque<Gather>,
    /// The sequence of the next group to be opened.
    pub(crate) next_sequence: u64,
    /// Bytes in all of them.
    pub(crate) bytes: usize,
}

impl Gathers {
    /// The group that takes what comes now.
    pub(crate) fn open(&mut self, group_bytes: usize) -> &mut Gather {
        let fits = self.waiting.back().is_some_and(|it| !it.closed && it.bytes < group_bytes);
        if !fits {
            let sequence = self.next_sequence;
            self.next_sequence += 1;
            self.waiting.push_back(Gather {
                sequence,
                items: Vec::new(),
                bytes: 0,
                closed: false,
                marker: false,
            });
        }
        self.waiting.back_mut().expect("one was just opened")
    }

    /// Adds bytes of a log; `open_run` remembers where the log's last run is.
    pub(crate) fn add_run(
        &mut self,
        group_bytes: usize,
        open_run: &mut (u64, usize),
        pending: PendingRun,
    ) -> u64 {
        let count = pending.bytes() as usize;
        let gather = self.open(group_bytes);
        let sequence = gather.sequence;
        let last = if open_run.0 == sequence { gather.items.get_mut(open_run.1) } else { None };
        let added = match last {
            Some(Item::Run(last))
                if last.to == pending.from && last.run.segment == pending.run.segment =>
            {
                last.to = pending.to;
                last.run.next = pending.run.next;
                count
            }
            _ => {
                *open_run = (sequence, gather.items.len());
                gather.items.push(Item::Run(pending));
                count + RUN_OVERHEAD
            }
        };
        gather.bytes += added;
        self.bytes += added;
        sequence
    }

    /// Adds bytes of a log that older groups hold as well.
    pub(crate) fn add_repeated(
        &mut self,
        group_bytes: usize,
        pending: PendingRun,
        entry: Vec<u8>,
    ) -> u64 {
        let count = entry.len() + TABLE_ROW_BYTES;
        let gather = self.open(group_bytes);
        gather.bytes += count;
        gather.items.push(Item::Repeated(pending, entry));
        let sequence = gather.sequence;
        self.bytes += count;
        sequence
    }

    /// Adds an encoded entry.
    pub(crate) fn add_entry(&mut self, group_bytes: usize, entry: Vec<u8>) -> u64 {
        let gather = self.open(group_bytes);
        let (sequence, count) = (gather.sequence, entry.len());
        gather.bytes += count;
        gather.items.push(Item::Entry(entry));
        self.bytes += count;
        sequence
    }

    /// Closes the open group if it holds anything: what comes now goes into a later one. Returns
    /// the sequence of that later one.
    pub(crate) fn cut(&mut self) -> u64 {
        if let Some(last) = self.waiting.back_mut() {
            if last.items.is_empty() && !last.marker && !last.closed {
                return last.sequence;
            }
            last.closed = true;
        }
        self.next_sequence
    }

    /// Asks for a group even if nothing is to be said. Returns its sequence.
    pub(crate) fn add_marker(&mut self, group_bytes: usize) -> u64 {
        let gather = self.open(group_bytes);
        gather.marker = true;
        gather.sequence
    }

    /// The next group to write, if there is anything in it.
    pub(crate) fn front(&self) -> Option<&Gather> {
        self.waiting.front().filter(|it| !it.items.is_empty() || it.marker)
    }

    pub(crate) fn take(&mut self) -> Option<Gather> {
        self.front()?;
        let gather = self.waiting.pop_front()?;
        self.bytes -= gather.bytes;
        Some(gather)
    }
}
