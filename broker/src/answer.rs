//! The bytes of one answer: what we wrote, and the records spliced into it.
//!
//! Records are never copied into an answer. They stay in the cache or in the block that came from
//! disk, and the kernel gathers them from there.

use std::io::{self, IoSlice};

use bytes::Bytes;
use runtime::sync::Permit;
use runtime::{ReadBlock, Sender};

/// Record bytes inside an answer.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    /// From this shard's cache or disk.
    Block(ReadBlock),
    /// From another shard.
    Bytes(Bytes),
}

impl Piece {
    /// The bytes themselves.
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Block(block) => block,
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// One answer, length prefix included.
#[derive(Default)]
pub(crate) struct Answer {
    head: Vec<u8>,
    /// Pieces and the position in `head` before which each is sent, in order.
    pieces: Vec<(usize, Piece)>,
    bytes: usize,
    /// The memory the pieces take, given back when they are sent.
    _loan: Option<Permit>,
}

impl Answer {
    /// An answer without records.
    pub(crate) fn new(head: Vec<u8>) -> Self {
        Self { bytes: head.len(), head, pieces: Vec::new(), _loan: None }
    }

    /// An answer with records; positions rise and lie inside `head`.
    pub(crate) fn with_pieces(
        head: Vec<u8>,
        pieces: Vec<(usize, Piece)>,
        loan: Option<Permit>,
    ) -> Self {
        debug_assert!(pieces.is_sorted_by_key(|(at, _)| *at), "pieces are spliced in order");
        let records: usize = pieces.iter().map(|(_, piece)| piece.as_slice().len()).sum();
        Self { bytes: head.len() + records, head, pieces, _loan: loan }
    }

    /// How many bytes go out.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn gather<'a>(&'a self, into: &mut Vec<IoSlice<'a>>) {
        let mut sent = 0;
        for (at, piece) in &self.pieces {
            if *at > sent {
                into.push(IoSlice::new(&self.head[sent..*at]));
                sent = *at;
            }
            into.push(IoSlice::new(piece.as_slice()));
        }
        if sent < self.head.len() {
            into.push(IoSlice::new(&self.head[sent..]));
        }
    }

    /// Sends answers back to back and gives their bytes.
    ///
    /// # Errors
    /// The peer has gone, or will not take any more.
    pub(crate) async fn send_all<'a>(
        sender: &mut Sender,
        answers: impl Iterator<Item = &'a Self>,
    ) -> io::Result<usize> {
        let mut slices = Vec::new();
        let mut bytes = 0;
        for answer in answers {
            answer.gather(&mut slices);
            bytes += answer.bytes;
        }
        sender.send(&mut slices).await?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_lie_where_they_were_spliced() {
        let piece = |text: &'static [u8]| Piece::Bytes(Bytes::from_static(text));
        let answer = Answer::with_pieces(
            b"headmidtail".to_vec(),
            vec![(4, piece(b"<1>")), (4, piece(b"<2>")), (7, piece(b"<3>"))],
            None,
        );
        let mut slices = Vec::new();
        answer.gather(&mut slices);
        let sent: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        assert_eq!(sent, b"head<1><2>mid<3>tail");
        assert_eq!(sent.len(), answer.bytes());
    }
}
