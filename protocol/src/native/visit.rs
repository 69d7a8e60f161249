//! Reads any frame to its last field: for tests and fuzzing, which know no kind in advance.

use super::refusal::Refusal;
use super::{
    Frame, FrameError, Kind, configs, fetch, hello, metadata, offsets, outcomes, produce, producer,
    topics,
};

/// Reads a frame as whatever it says it is, looks at everything in it, and returns how much that
/// was.
///
/// # Errors
/// [`FrameError`].
pub fn visit(bytes: &[u8]) -> Result<usize, FrameError> {
    let frame = Frame::parse(bytes)?;
    let mut seen = frame.payload().len();
    match (frame.kind(), frame.is_answer()) {
        (Kind::Error, _) => seen += Refusal::read(&frame)?.map_or(0, |it| it.message.len()),
        (Kind::Hello, false) => seen += hello::Request::read(&frame)?.client_id.len(),
        (Kind::Hello, true) => seen += hello::Answer::read(&frame)?.cluster_id.len(),
        (Kind::Metadata, false) => seen += metadata::RequestView::read(&frame)?.topics().count(),
        (Kind::Metadata, true) => {
            let answer = metadata::AnswerView::read(&frame)?;
            for broker in answer.brokers() {
                seen += broker.host().len() + broker.rack().len() + broker.lane_ports().count();
            }
            for topic in answer.topics() {
                seen += topic.name().len();
                for partition in topic.partitions() {
                    seen += partition.replicas().count() + partition.in_sync().count();
                }
            }
        }
        (Kind::Produce, false) => {
            let request = produce::RequestView::read(&frame)?;
            seen += request.batches().map(|(_, batch)| batch.len()).sum::<usize>();
        }
        (Kind::Produce, true) => {
            let answer = produce::AnswerView::read(&frame)?;
            seen += answer.outcomes().count();
            seen += answer.problems().map(|it| it.message.len()).sum::<usize>();
        }
        (Kind::Fetch, false) => seen += fetch::RequestView::read(&frame)?.entries().count(),
        (Kind::Fetch, true) => {
            let answer = fetch::AnswerView::read(&frame)?;
            seen += answer.outcomes().map(|(_, batches)| batches.len()).sum::<usize>();
            seen += answer.aborted().count();
        }
        (Kind::ListOffsets, false) => {
            seen += offsets::RequestView::read(&frame)?.entries().count();
        }
        (Kind::ListOffsets, true) => seen += offsets::AnswerView::read(&frame)?.outcomes().count(),
        (Kind::InitProducer, false) => {
            seen += producer::Request::read(&frame)?.transactional_id.map_or(0, str::len);
        }
        (Kind::InitProducer, true) => {
            let _identity = producer::Answer::read(&frame)?;
        }
        (Kind::DeleteRecords, false) => {
            seen += offsets::DeleteRecordsView::read(&frame)?.entries().count();
        }
        (Kind::CreateTopics, false) => {
            for topic in topics::CreateTopicsView::read(&frame)?.topics() {
                seen += topic.name().len() + topic.configs().count();
            }
        }
        (Kind::DeleteTopics, false) => {
            seen += topics::DeleteTopicsView::read(&frame)?.topics().count();
        }
        (Kind::CreatePartitions, false) => {
            seen += topics::CreatePartitionsView::read(&frame)?.topics().count();
        }
        (Kind::DescribeConfigs, false) => {
            for query in configs::DescribeConfigsView::read(&frame)?.resources() {
                seen += query.keys().map(str::len).sum::<usize>();
            }
        }
        (Kind::DescribeConfigs, true) => {
            for resource in configs::DescribeAnswerView::read(&frame)?.resources() {
                seen += resource.entries().map(|it| it.name.len()).sum::<usize>();
            }
        }
        (Kind::AlterConfigs, false) => {
            for resource in configs::AlterConfigsView::read(&frame)?.resources() {
                seen += resource.changes().count();
            }
        }
        (
            Kind::DeleteRecords
            | Kind::CreateTopics
            | Kind::DeleteTopics
            | Kind::CreatePartitions
            | Kind::AlterConfigs,
            true,
        ) => {
            let answer = outcomes::AnswerView::read(&frame, frame.kind())?;
            seen += answer.outcomes().map(|it| it.message.len()).sum::<usize>();
        }
    }
    Ok(seen)
}
