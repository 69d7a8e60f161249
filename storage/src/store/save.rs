//! Checkpoints and superblocks: what lets ring files go.

use std::io;
use std::rc::Rc;

use runtime::sync::Permit;
use runtime::{OpenOptions, World};

use crate::checkpoint::Writer;
use crate::journal::superblock::{Anchor, Superblock};
use crate::limits::{PAGE_BYTES, SUPERBLOCK_COPIES};
use crate::log::Log;
use crate::store::Inner;
use crate::store::files::Paths;
use crate::store::stats::add;

/// Logs recorded between two turns.
const RECORDS_PER_TURN: usize = 128;

impl Inner {
    /// Records every log, and lets replay start at `anchor`: everything the journal holds before
    /// it is in segments, synced.
    pub(crate) async fn checkpoint(self: &Rc<Self>, anchor: Anchor) -> io::Result<()> {
        let mut writer = Writer::default();
        // Ids from here on are in the journal only.
        let next_log = self.next_log.get();
        let logs: Vec<Log> = self.by_id.borrow().values().cloned().collect();
        let mut as_of = self.gathers.borrow_mut().cut();
        for some in logs.chunks(RECORDS_PER_TURN) {
            // What these logs said so far is in the record; what they say next is not.
            as_of = self.gathers.borrow_mut().cut();
            for log in some {
                log.with_state(|state| writer.add(state, as_of));
            }
            self.world.turn_if_needed().await;
        }
        let (number, journal) = {
            let superblock = self.superblock.borrow();
            (superblock.checkpoint + 1, superblock.journal)
        };
        let file = writer.finish(&journal, number, next_log);
        add(&self.counters.checkpoint_bytes, 2 * file.len() as u64);
        add(&self.counters.checkpoints, 1);
        self.disk.replace(self.paths.checkpoint(number, 'a'), file.clone()).await?;
        self.disk.replace(self.paths.checkpoint(number, 'b'), file).await?;
        self.reserved_below.set(as_of);
        self.wake_writer.notify_one();
        self.released.notify_all();
        let durable = self.durable(as_of - 1).await;
        self.reserved_below.set(0);
        if durable.is_err() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let turn = self.superblock_turn.acquire(1).await;
        self.rewrite_superblock(&turn, |next| {
            next.checkpoint = number;
            next.replay = anchor;
        })
        .await?;
        drop(turn);
        // The one before stays, for whoever wants to know what was.
        if let Some(old) = number.checked_sub(2).filter(|it| *it > 0) {
            for copy in ['a', 'b'] {
                let path = self.paths.checkpoint(old, copy);
                match self.disk.remove_file(path).await {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    Ok(()) | Err(_) => {}
                }
            }
        }
        Ok(())
    }
}

impl Inner {
    /// Writes the superblock anew with a change. One at a time: whoever calls holds the turn.
    pub(crate) async fn rewrite_superblock(
        &self,
        _turn: &Permit,
        change: impl FnOnce(&mut Superblock),
    ) -> io::Result<()> {
        let mut next = *self.superblock.borrow();
        next.sequence += 1;
        next.parent_crc = next.crc;
        next.durable = next.durable.max(self.durable_position.get());
        next.incarnation = self.incarnation.get();
        change(&mut next);
        write_superblock(&self.world, &self.paths, &mut next).await?;
        add(&self.counters.checkpoint_bytes, (SUPERBLOCK_COPIES * PAGE_BYTES) as u64);
        *self.superblock.borrow_mut() = next;
        Ok(())
    }
}

/// Writes all four copies, two at a time: two intact ones exist at any moment.
pub(crate) async fn write_superblock(
    world: &World,
    paths: &Paths,
    superblock: &mut Superblock,
) -> io::Result<()> {
    let options = OpenOptions { create: false, write: true, synchronous: true };
    let file = world.disk().open(paths.superblock(), options).await?;
    let page = superblock.encode();
    let half = SUPERBLOCK_COPIES / 2;
    let chunk = world.chunk(half * PAGE_BYTES);
    for _ in 0..half {
        chunk.push(&page).map_err(|_full| io::Error::other("a chunk smaller than asked for"))?;
    }
    let bytes = half * PAGE_BYTES;
    file.write_chunk(&chunk, 0..bytes, 0).await?;
    file.write_chunk(&chunk, 0..bytes, bytes as u64).await?;
    file.close().await
}
