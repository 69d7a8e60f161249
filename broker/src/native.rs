//! The native dialect: by frame kind to the file that serves it.

use std::rc::Rc;

use bytes::Bytes;
use runtime::Nanos;

use crate::connection::{Connection, Handled};

/// Handles one frame.
pub(crate) async fn handle(
    _connection: &Rc<Connection>,
    _frame: Bytes,
    _arrived: Nanos,
) -> Handled {
    Handled::Close("the native protocol is not served yet")
}

/// The whole length of the frame at the front of the buffer, if its prefix is there.
pub(crate) fn frame_bytes(_buffer: &[u8]) -> Result<Option<usize>, String> {
    Err("the native protocol is not served yet".to_owned())
}
