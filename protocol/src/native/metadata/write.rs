//! How a metadata answer is written.

use flatbuffers::WIPOffset;

use super::{Answer, Broker, Kind, Topic, generated, uuid};
use crate::native::encoder::{Builder, Encoder};
use crate::native::frame::FrameError;

impl Answer<'_> {
    /// The answer's head; it has no payload.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`], also if a partition has more than 255 replicas: send fewer topics
    /// and `next_after`.
    pub fn encode<'e>(
        &self,
        correlation: u64,
        encoder: &'e mut Encoder,
    ) -> Result<&'e [u8], FrameError> {
        let most = self
            .topics
            .iter()
            .flat_map(|topic| topic.partitions)
            .map(|it| it.replicas.len().max(it.in_sync.len()))
            .max();
        if let Some(replicas) = most.filter(|it| *it > usize::from(u8::MAX)) {
            return Err(FrameError::TooLarge { bytes: replicas });
        }
        encoder.answer(Kind::Metadata, correlation, 0, |builder| {
            let brokers: Vec<_> = self.brokers.iter().map(|it| broker(it, builder)).collect();
            let topics: Vec<_> = self.topics.iter().map(|it| topic(it, builder)).collect();
            let fields = generated::MetadataAnswerArgs {
                cluster_id: Some(builder.create_string(self.cluster_id)),
                controller: self.controller,
                brokers: Some(builder.create_vector(&brokers)),
                topics: Some(builder.create_vector(&topics)),
                next_after: self.next_after.map(|name| builder.create_string(name)),
            };
            generated::MetadataAnswer::create(builder, &fields)
        })
    }
}

fn broker<'b>(it: &Broker<'_>, builder: &mut Builder) -> WIPOffset<generated::Broker<'b>> {
    let fields = generated::BrokerArgs {
        id: it.id,
        host: Some(builder.create_string(it.host)),
        port: it.port,
        rack: (!it.rack.is_empty()).then(|| builder.create_string(it.rack)),
        lanes: it.lanes,
        lane_ports: (!it.lane_ports.is_empty()).then(|| builder.create_vector(it.lane_ports)),
    };
    generated::Broker::create(builder, &fields)
}

fn topic<'b>(it: &Topic<'_>, builder: &mut Builder) -> WIPOffset<generated::Topic<'b>> {
    let count = |ids: &[i32]| u8::try_from(ids.len()).expect("encode saw that none has more");
    let partitions = it.partitions.iter().map(|it| {
        generated::Partition::new(
            it.index,
            it.leader,
            it.leader_epoch,
            it.lane,
            count(it.replicas),
            count(it.in_sync),
        )
    });
    let replicas: Vec<i32> = it.partitions.iter().flat_map(|it| it.replicas).copied().collect();
    let in_sync: Vec<i32> = it.partitions.iter().flat_map(|it| it.in_sync).copied().collect();
    let listed = !it.partitions.is_empty();
    let fields = generated::TopicArgs {
        error: it.error.code(),
        name: Some(builder.create_string(it.name)),
        id: Some(&uuid(it.id)),
        internal: it.internal,
        partition_count: it.partition_count,
        partitions: listed.then(|| builder.create_vector_from_iter(partitions)),
        replicas: listed.then(|| builder.create_vector(&replicas)),
        in_sync: listed.then(|| builder.create_vector(&in_sync)),
    };
    generated::Topic::create(builder, &fields)
}
