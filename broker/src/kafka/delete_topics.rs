//! DeleteTopics (key 20), versions 1 to 6: delete topics, by name or from version 6 on by id.

use protocol::kafka::delete_topics::{
    DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse,
};
use protocol::metadata::control::DeleteTopic;
use protocol::{ErrorCode, TopicId};

use super::{Broken, Request};
use crate::answer::Answer;
use crate::topics;

/// Deletes them; the answer says that they are gone on every shard.
pub(super) async fn handle(request: &Request) -> Result<Answer, Broken> {
    let body = request.decode::<DeleteTopicsRequest<'_>>()?;
    let version = request.version.number;
    let asked: Vec<(Option<&str>, TopicId)> = if version >= 6 {
        body.topics.iter().map(|topic| (topic.name, topic.topic_id)).collect()
    } else {
        body.topic_names.iter().map(|name| (Some(*name), TopicId::ZERO)).collect()
    };
    let wish = |&(name, id): &(Option<&str>, _)| DeleteTopic { name: name.map(str::to_owned), id };
    let wishes = asked.iter().map(wish).collect();
    let results = topics::delete(&request.shard, wishes).await;
    let responses = asked.iter().zip(&results).map(|(&(name, id), result)| match result {
        Ok((id, name)) => DeletableTopicResult {
            name: Some(name),
            topic_id: *id,
            ..DeletableTopicResult::default()
        },
        Err(refusal) => DeletableTopicResult {
            name: if version >= 6 { name } else { Some(name.unwrap_or_default()) },
            topic_id: id,
            error_code: code(refusal.code, version),
            error_message: Some(&refusal.message),
        },
    });
    request.answer(&DeleteTopicsResponse {
        responses: responses.collect(),
        ..DeleteTopicsResponse::default()
    })
}

/// Clients before version 3 do not know that deletion can be disabled.
fn code(code: ErrorCode, version: i16) -> ErrorCode {
    match code {
        ErrorCode::TopicDeletionDisabled if version < 3 => ErrorCode::InvalidRequest,
        code => code,
    }
}
