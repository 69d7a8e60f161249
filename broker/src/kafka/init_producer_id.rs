//! InitProducerId (key 22), versions 0 to 5: an idempotent producer asks who it is (KIP-98, KIP-360).
//!
//! Without a transactional id every call brings a new producer id and epoch 0, also when the producer names the id
//! it had: what it sent before belongs to the old one.

use protocol::ErrorCode;
use protocol::kafka::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use super::{Broken, Request};
use crate::answer::Answer;

/// Gives the producer an id that nobody has had.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<InitProducerIdRequest<'_>>()?;
    let refused = match body.transactional_id {
        None => None,
        Some("") => Some(ErrorCode::InvalidRequest),
        // Nobody coordinates transactions yet.
        Some(_) => Some(ErrorCode::UnsupportedVersion),
    };
    let given = match refused {
        Some(code) => Err(code),
        None => request.shard.producer_ids.next(&request.shard).await.map_err(|why| why.code),
    };
    request.answer(&match given {
        Ok(id) => InitProducerIdResponse {
            producer_id: id.get(),
            producer_epoch: 0,
            ..InitProducerIdResponse::default()
        },
        Err(error_code) => InitProducerIdResponse {
            error_code,
            producer_epoch: -1,
            ..InitProducerIdResponse::default()
        },
    })
}
