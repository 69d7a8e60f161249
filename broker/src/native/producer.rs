//! Init producer: an idempotent producer asks who it is (KIP-98).
//!
//! Every call brings a new id and epoch 0, also when the producer names the id it had: what it sent before belongs
//! to the old one.

use protocol::ErrorCode;
use protocol::native::producer::{Answer as Body, Request as Wish};

use super::{Fault, Request};
use crate::answer::Answer;

/// Gives the producer an id that nobody has had.
pub(super) async fn handle(request: &Request<'_>) -> Result<Answer, Fault> {
    let wish = Wish::read(&request.frame)?;
    match wish.transactional_id {
        None => {}
        Some("") => {
            let message = "a transactional id must not be empty";
            return Err(Fault::refused(ErrorCode::InvalidRequest, message));
        }
        Some(_) => {
            let message = "transactions are not supported by this version";
            return Err(Fault::refused(ErrorCode::UnsupportedVersion, message));
        }
    }
    let id = request.shard.producer_ids.next(request.shard).await?;
    let body = Body { producer_id: id.get(), producer_epoch: 0 };
    request.answer(|correlation, encoder| body.encode(correlation, encoder))
}
