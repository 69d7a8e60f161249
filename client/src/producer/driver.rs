//! The task behind a producer: does what the accumulator says, and tells it what came of it.

use std::rc::Rc;

use runtime::{Nanos, TaskClass};

use super::Shared;
use super::lane::{Lane, Parcel};
use super::receipt::Completion;
use crate::accumulator::{Action, Answer, BatchId, SlotId};
use crate::cluster::Missing;
use crate::error::{ClientError, SendError};

impl Shared {
    /// Serves the machine until everything is done and the last handle is gone.
    pub(super) async fn run(self: Rc<Self>) {
        let mut actions = Vec::new();
        loop {
            let wake_at = {
                let mut machine = self.machine.borrow_mut();
                machine.poll(self.world().now().get(), &mut actions);
                machine.wake_at()
            };
            self.carry_out(&mut actions);
            let (is_idle, needs_identity) = {
                let machine = self.machine.borrow();
                (machine.oldest().is_none(), machine.needs_identity())
            };
            if is_idle && self.is_closing.get() {
                break;
            }
            if needs_identity && !is_idle {
                self.ask_identity();
            }
            let woken = self.wake.notified();
            match wake_at.map(|at| Nanos::new(at).since(self.world().now())) {
                Some(pause) => {
                    // An elapsed time is as good as a wake-up.
                    let _elapsed = self.world().timeout(pause, woken).await.is_err();
                }
                None => woken.await,
            }
        }
        for lane in std::mem::take(&mut *self.lanes.borrow_mut()).into_values() {
            lane.close();
        }
        self.has_ended.set(true);
        self.ended.notify_all();
        self.progress.notify_all();
    }

    /// Does what the machine said.
    fn carry_out(self: &Rc<Self>, actions: &mut Vec<Action<Rc<Completion>>>) {
        let mut has_progress = false;
        for action in actions.drain(..) {
            match action {
                Action::Done { completion, first, count, outcome } => {
                    completion.settle(first, count, outcome);
                    has_progress = true;
                }
                Action::Refresh { slot } => self.refresh(slot),
                Action::Send { slot, batch, bytes } => self.dispatch(slot, batch, bytes),
            }
        }
        if has_progress {
            self.progress.notify_all();
        }
    }

    /// Hands a batch to the lane of its partition's leader.
    fn dispatch(self: &Rc<Self>, slot: SlotId, batch: BatchId, bytes: bytes::Bytes) {
        let partition = self.partitions.borrow()[slot.index()].clone();
        let view = self.cluster.known_topic(&partition.topic);
        if self.cluster.fresh_topic(&partition.topic).is_none() {
            self.refresh(slot);
        }
        let found = view.as_ref().and_then(|view| {
            let leader = view.partition(partition.index)?.leader?;
            Some((Rc::clone(&view.topic), leader))
        });
        let Some((topic, leader)) = found else {
            self.answer(slot, batch, Answer::NotSent);
            return;
        };
        let parcel = Parcel { slot, batch, topic, partition: partition.index, bytes };
        self.lane(leader).push(parcel);
    }

    fn lane(self: &Rc<Self>, broker: i32) -> Rc<Lane> {
        let mut lanes = self.lanes.borrow_mut();
        let lane = lanes.entry(broker).or_insert_with(|| Lane::start(self, broker));
        Rc::clone(lane)
    }

    /// Tells the machine what became of a batch; what follows from it happens at once.
    pub(super) fn answer(self: &Rc<Self>, slot: SlotId, batch: BatchId, answer: Answer) {
        let mut actions = Vec::new();
        let now = self.world().now().get();
        self.machine.borrow_mut().answered(now, slot, (batch, answer), &mut actions);
        self.carry_out(&mut actions);
        self.wake.notify_one();
    }

    /// Asks who leads the partition now, unless somebody already does.
    fn refresh(self: &Rc<Self>, slot: SlotId) {
        let name = Rc::clone(&self.partitions.borrow()[slot.index()].topic);
        if !self.refreshing.borrow_mut().insert(Rc::clone(&name)) {
            return;
        }
        self.cluster.doubt_topic(&name);
        let shared = Rc::clone(self);
        self.world().spawn(TaskClass::Serve, async move {
            match shared.cluster.find_topic(&name, Missing::Fail).await {
                Ok(view) => drop(shared.enter(view)),
                Err(error) => tracing::debug!(topic = &*name, %error, "cannot look up the leader"),
            }
            shared.refreshing.borrow_mut().remove(&name);
            shared.wake.notify_one();
        });
    }

    fn ask_identity(self: &Rc<Self>) {
        if self.is_asking_identity.replace(true) {
            return;
        }
        let shared = Rc::clone(self);
        self.world().spawn(TaskClass::Serve, async move {
            let identity = match shared.cluster.any_peer().await {
                Ok(peer) => peer.init_producer().await,
                Err(error) => Err(error),
            };
            match identity {
                Ok(identity) => shared.machine.borrow_mut().set_identity(identity),
                Err(ClientError::Refused { code, message }) if !code.retriable() => {
                    let error = ClientError::Refused { code, message };
                    let mut actions = Vec::new();
                    let reason = SendError::Cluster(error.clone());
                    shared.machine.borrow_mut().fail_all(&reason, &mut actions);
                    *shared.refused.borrow_mut() = Some(error);
                    shared.carry_out(&mut actions);
                }
                Err(error) => {
                    tracing::debug!(%error, "no producer id yet");
                    shared.world().sleep(shared.config.retry_pause).await;
                }
            }
            shared.is_asking_identity.set(false);
            shared.wake.notify_one();
        });
    }
}
