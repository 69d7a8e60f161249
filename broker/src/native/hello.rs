//! Hello: who calls, which version both speak, and whether this is the cluster the caller means.

use protocol::ErrorCode;
use protocol::native::{VERSION, hello};

use super::{Fault, Request, frame_bytes_max};
use crate::answer::Answer;

/// Greets a peer. Until that has succeeded it is served nothing else.
pub(super) fn handle(request: &Request<'_>) -> Result<Answer, Fault> {
    let hello = hello::Request::read(&request.frame)?;
    if request.connection.greeted.get() {
        return Err(Fault::refused(ErrorCode::InvalidRequest, "a second hello"));
    }
    let shard = request.shard;
    let node = &shard.node;
    let version = check(&hello, &node.cluster_id)?;
    tracing::debug!(
        peer = %request.connection.peer,
        client_id = hello.client_id,
        software = hello.software_name,
        version = hello.software_version,
        "a native client"
    );
    let answer = hello::Answer {
        version,
        cluster_id: &node.cluster_id,
        broker_id: node.broker_id.get(),
        lane: lane(shard.id.index()),
        lanes: lane(shard.count()),
        frame_bytes_max: u32::try_from(frame_bytes_max(shard)).unwrap_or(u32::MAX),
        software_name: "corelog",
        software_version: env!("CARGO_PKG_VERSION"),
    };
    let answer = request.answer(|correlation, encoder| answer.encode(correlation, encoder))?;
    request.connection.greeted.set(true);
    Ok(answer)
}

/// The version to speak, if there is one and the peer has come to the right cluster.
pub(super) fn check(hello: &hello::Request<'_>, cluster_id: &str) -> Result<u16, Fault> {
    let Some(version) = hello.common_version(VERSION, VERSION) else {
        let message = format!(
            "this broker speaks version {VERSION}, the client {} to {}",
            hello.version_min, hello.version_max
        );
        return Err(Fault::refused(ErrorCode::UnsupportedVersion, message));
    };
    match hello.cluster_id {
        Some(meant) if meant != cluster_id => Err(Fault::refused(
            ErrorCode::InconsistentClusterId,
            format!("this is cluster '{cluster_id}', not '{meant}'"),
        )),
        _ => Ok(version),
    }
}

/// A core's number, or a count of them, on the wire.
pub(super) fn lane(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
