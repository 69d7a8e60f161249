//! What was read from segments lately.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use protocol::batch::HEADER_BYTES;
use runtime::ReadBlock;

use crate::log::read::Source;
use crate::segment::index::{IndexEntry, IndexPage};

/// Consecutive regions of a segment, read and verified.
pub(crate) struct Regions {
    pub(crate) log: u32,
    pub(crate) base: i64,
    /// Where the first one starts.
    pub(crate) start: u32,
    /// Where the last one ends.
    pub(crate) end: u32,
    /// The offset after the last one.
    pub(crate) end_offset: i64,
    pub(crate) entries: Vec<IndexEntry>,
    pub(crate) block: ReadBlock,
}

impl Source for Regions {
    fn entries(&self) -> usize {
        self.entries.len()
    }
    fn entry(&self, at: usize) -> IndexEntry {
        self.entries[at]
    }
    fn header(&self, position: u32) -> Option<[u8; HEADER_BYTES]> {
        let from = position.checked_sub(self.start)? as usize;
        self.block.get(from..)?.first_chunk::<HEADER_BYTES>().copied()
    }
}

/// What was read lately: the blocks that readers go on from, and index pages.
#[derive(Default)]
pub(crate) struct ReadCache {
    regions: RefCell<VecDeque<Rc<Regions>>>,
    pages: RefCell<VecDeque<(u32, Rc<IndexPage>)>>,
}

/// Blocks of regions kept: one for each reader that is catching up, as long as there are few.
const REGIONS_KEPT: usize = 16;
/// Index pages kept.
const PAGES_KEPT: usize = 256;

impl ReadCache {
    pub(super) fn regions(&self, log: u32, base: i64, from: i64) -> Option<Rc<Regions>> {
        let mut kept = self.regions.borrow_mut();
        let at = kept.iter().position(|it| {
            let first = it.entries.first().map_or(0, |entry| i64::from(entry.relative));
            it.log == log && it.base == base && (base + first..it.end_offset).contains(&from)
        })?;
        let found = kept.remove(at)?;
        kept.push_back(found.clone());
        Some(found)
    }

    pub(super) fn keep_regions(&self, regions: &Rc<Regions>) {
        let mut kept = self.regions.borrow_mut();
        kept.push_back(regions.clone());
        if kept.len() > REGIONS_KEPT {
            kept.pop_front();
        }
    }

    pub(super) fn page(&self, log: u32, base: i64, number: u32) -> Option<Rc<IndexPage>> {
        let mut kept = self.pages.borrow_mut();
        let same = |it: &(u32, Rc<IndexPage>)| {
            it.0 == log && it.1.identity.base == base && it.1.number == number
        };
        // The newest are looked for most.
        let at = kept.iter().rposition(same)?;
        let found = kept.remove(at)?;
        kept.push_back(found.clone());
        Some(found.1)
    }

    pub(super) fn keep_page(&self, log: u32, page: &Rc<IndexPage>) {
        let mut kept = self.pages.borrow_mut();
        kept.push_back((log, page.clone()));
        if kept.len() > PAGES_KEPT {
            kept.pop_front();
        }
    }

    /// Forgets what is known of a log.
    pub(crate) fn forget(&self, log: u32) {
        self.regions.borrow_mut().retain(|it| it.log != log);
        self.pages.borrow_mut().retain(|it| it.0 != log);
    }
}
