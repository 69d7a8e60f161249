//! Questions to single partitions, each answered on the shard that owns it.

use std::any::Any;
use std::future::Future;
use std::rc::Rc;

use protocol::metadata::Image;
use protocol::{ErrorCode, PartitionIndex, TopicPartition};
use runtime::ShardId;

use crate::partition::Partition;
use crate::shard::Shard;

/// The partition a client means by a topic's name and a number.
pub(crate) fn find(image: &Image, topic: &str, index: i32) -> Option<TopicPartition> {
    let topic = image.topic_by_name(topic)?;
    let index = PartitionIndex::new(index)?;
    topic.partition(index)?;
    Some(TopicPartition { topic: topic.id, index })
}

/// A shard, the slots its answers go to, and what it is asked.
type AtHome<Q> = (ShardId, Vec<usize>, Vec<(TopicPartition, Q)>);

/// Puts each question to its partition's home and gives the answers in the order of the questions.
///
/// A partition that is unknown, or whose home has stopped, gives an error code instead.
pub(crate) async fn each<Q, A, W, F>(
    shard: &Rc<Shard>,
    questions: Vec<(Option<TopicPartition>, Q)>,
    answer: W,
) -> Vec<Result<A, ErrorCode>>
where
    Q: Send + 'static,
    A: Send + 'static,
    W: Fn(Rc<Shard>, Rc<Partition>, Q) -> F + Copy + Send + 'static,
    F: Future<Output = Result<A, ErrorCode>> + 'static,
{
    let mut answers = Vec::with_capacity(questions.len());
    let mut by_home: Vec<AtHome<Q>> = Vec::new();
    for (slot, (partition, question)) in questions.into_iter().enumerate() {
        answers.push(Err(ErrorCode::UnknownTopicOrPartition));
        let home = partition.and_then(|id| shard.view.home(id).map(|home| (id, home)));
        let Some((id, home)) = home else { continue };
        match by_home.iter_mut().find(|(shard, ..)| *shard == home) {
            Some((_, slots, asked)) => {
                slots.push(slot);
                asked.push((id, question));
            }
            None => by_home.push((home, vec![slot], vec![(id, question)])),
        }
    }
    let mut away = Vec::new();
    for (home, slots, asked) in by_home {
        if home == shard.id {
            let here = answer_all(Rc::clone(shard), asked, answer).await;
            fill(&mut answers, slots, here);
        } else {
            let sent = shard.send(home, move |there| answer_all(there, asked, answer));
            away.push((sent, slots));
        }
    }
    for (sent, slots) in away {
        let Ok(value) = sent.await else {
            for slot in slots {
                answers[slot] = Err(ErrorCode::NotLeaderOrFollower);
            }
            continue;
        };
        let value: Box<dyn Any + Send> = value;
        if let Ok(there) = value.downcast::<Vec<Result<A, ErrorCode>>>() {
            fill(&mut answers, slots, *there);
        }
    }
    answers
}

fn fill<A>(answers: &mut [A], slots: Vec<usize>, given: Vec<A>) {
    for (slot, given) in slots.into_iter().zip(given) {
        answers[slot] = given;
    }
}

async fn answer_all<Q, A, W, F>(
    shard: Rc<Shard>,
    asked: Vec<(TopicPartition, Q)>,
    answer: W,
) -> Vec<Result<A, ErrorCode>>
where
    W: Fn(Rc<Shard>, Rc<Partition>, Q) -> F,
    F: Future<Output = Result<A, ErrorCode>>,
{
    let mut answers = Vec::with_capacity(asked.len());
    for (id, question) in asked {
        answers.push(match shard.partition(id) {
            Some(partition) => answer(Rc::clone(&shard), partition, question).await,
            None => Err(ErrorCode::UnknownTopicOrPartition),
        });
    }
    answers
}
