//! The way into a cluster: connections to its brokers, and what is known of its topics.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use protocol::error_code::ErrorCode;
use runtime::sync::Notify;
use runtime::{Nanos, World};

use crate::call::Which;
use crate::config::ClusterConfig;
use crate::dialect::Peer;
use crate::error::{ChannelError, ClientError};
use crate::view::{ClusterView, Metadata, TopicView};

/// A cluster that was reached. Cheap to clone: clones share connections and what is known of topics.
///
/// It lives on the thread on which it was made.
#[derive(Clone)]
pub struct Cluster(Rc<Shared>);

struct Shared {
    world: World,
    config: ClusterConfig,
    /// Connections by `host:port`.
    peers: RefCell<BTreeMap<String, Place>>,
    view: RefCell<ClusterView>,
    topics: RefCell<BTreeMap<Rc<str>, Known>>,
    /// Where the search for a broker that answers goes on.
    turn: Cell<usize>,
}

#[derive(Clone)]
enum Place {
    /// Somebody is connecting; wait and look again.
    Connecting(Rc<Notify>),
    Connected(Peer),
}

struct Known {
    view: Rc<TopicView>,
    at: Nanos,
    is_stale: bool,
}

/// Whether a topic that does not exist may be created by asking for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Create,
    Fail,
}

impl Cluster {
    /// Reaches the cluster by one of the bootstrap addresses.
    ///
    /// # Errors
    /// [`ClientError::Channel`] with the last broker's reason if none answers, [`ClientError::Config`] without an
    /// address.
    pub async fn connect(world: &World, config: ClusterConfig) -> Result<Self, ClientError> {
        if config.bootstrap.is_empty() {
            return Err(ClientError::Config("no bootstrap address is given".to_owned()));
        }
        let cluster = Self(Rc::new(Shared {
            world: world.clone(),
            config,
            peers: RefCell::default(),
            view: RefCell::default(),
            topics: RefCell::default(),
            turn: Cell::new(0),
        }));
        let none = Which::Named { names: &[], auto_create: false };
        cluster.ask_metadata(none).await?;
        Ok(cluster)
    }

    /// The machine it runs on.
    pub fn world(&self) -> &World {
        &self.0.world
    }

    pub(crate) fn config(&self) -> &ClusterConfig {
        &self.0.config
    }

    /// The brokers as last heard of.
    pub fn view(&self) -> ClusterView {
        self.0.view.borrow().clone()
    }

    /// What is known of a topic, asking the cluster if nothing is or it may be out of date.
    ///
    /// # Errors
    /// [`ClientError::NoSuchTopic`], another refusal, or no broker answers.
    pub async fn topic(&self, name: &str) -> Result<Rc<TopicView>, ClientError> {
        self.find_topic(name, Missing::Fail).await
    }

    pub(crate) async fn find_topic(
        &self,
        name: &str,
        missing: Missing,
    ) -> Result<Rc<TopicView>, ClientError> {
        if let Some(view) = self.fresh_topic(name) {
            return Ok(view);
        }
        let shared = &self.0;
        let deadline = shared.world.now() + shared.config.metadata_timeout;
        loop {
            let names = [name];
            let which = Which::Named { names: &names, auto_create: missing == Missing::Create };
            let answer = match self.ask_metadata(which).await {
                Ok(answer) => answer,
                // Brokers restart; the cluster was reached once, so it is worth waiting for.
                Err(ClientError::Channel(error)) if shared.world.now() < deadline => {
                    tracing::debug!(topic = name, %error, "no broker describes the topic");
                    shared.world.sleep(shared.config.retry_pause).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let described = answer.topics.iter().find(|described| &*described.name == name);
            let code = match described.map(|described| &described.outcome) {
                Some(Ok(_)) => match self.known_topic(name) {
                    Some(view) => return Ok(view),
                    None => ErrorCode::UnknownTopicOrPartition,
                },
                Some(Err(code)) => *code,
                None => ErrorCode::UnknownTopicOrPartition,
            };
            // A topic that is being created has no leader, or is not known everywhere, for a moment.
            let is_missing = code == ErrorCode::UnknownTopicOrPartition;
            if is_missing && missing == Missing::Fail {
                return Err(ClientError::NoSuchTopic(name.to_owned()));
            }
            if !code.retriable() || shared.world.now() >= deadline {
                return Err(if is_missing {
                    ClientError::NoSuchTopic(name.to_owned())
                } else {
                    ClientError::Refused { code, message: None }
                });
            }
            shared.world.sleep(shared.config.retry_pause).await;
        }
    }

    /// What is known of a topic, unless that may be out of date.
    pub(crate) fn fresh_topic(&self, name: &str) -> Option<Rc<TopicView>> {
        let topics = self.0.topics.borrow();
        let known = topics.get(name)?;
        let age = self.0.world.now().since(known.at);
        (!known.is_stale && age < self.0.config.metadata_age_max).then(|| Rc::clone(&known.view))
    }

    /// What is known of a topic, however old.
    pub(crate) fn known_topic(&self, name: &str) -> Option<Rc<TopicView>> {
        self.0.topics.borrow().get(name).map(|known| Rc::clone(&known.view))
    }

    /// Notes that what is known of a topic turned out wrong.
    pub(crate) fn doubt_topic(&self, name: &str) {
        if let Some(known) = self.0.topics.borrow_mut().get_mut(name) {
            known.is_stale = true;
        }
    }

    /// The brokers, asked for now.
    pub(crate) async fn refresh_view(&self) -> Result<ClusterView, ClientError> {
        let none = Which::Named { names: &[], auto_create: false };
        Ok(self.ask_metadata(none).await?.cluster)
    }

    /// Every topic there is.
    pub(crate) async fn all_topics(&self) -> Result<Metadata, ClientError> {
        self.ask_metadata(Which::All).await
    }

    /// Asks one broker after the other until one answers, and remembers the answer.
    async fn ask_metadata(&self, which: Which<'_>) -> Result<Metadata, ClientError> {
        let mut last = None;
        for address in self.addresses() {
            let answer = match self.peer_at(&address).await {
                Ok(peer) => peer.metadata(which).await,
                Err(error) => Err(error.into()),
            };
            match answer {
                Ok(metadata) => {
                    self.remember(&metadata);
                    return Ok(metadata);
                }
                Err(error @ ClientError::Refused { .. }) => return Err(error),
                Err(error) => {
                    tracing::debug!(address, %error, "a broker did not describe the cluster");
                    last = Some(error);
                }
            }
        }
        // `connect` saw to it that there is an address.
        Err(last.unwrap_or(ClientError::Closed))
    }

    fn remember(&self, metadata: &Metadata) {
        if !metadata.cluster.brokers.is_empty() {
            *self.0.view.borrow_mut() = metadata.cluster.clone();
        }
        let mut topics = self.0.topics.borrow_mut();
        for described in &metadata.topics {
            match &described.outcome {
                Ok(view) => {
                    let known = Known {
                        view: Rc::new(view.clone()),
                        at: self.0.world.now(),
                        is_stale: false,
                    };
                    topics.insert(Rc::clone(&described.name), known);
                }
                Err(ErrorCode::UnknownTopicOrPartition) => {
                    topics.remove(&described.name);
                }
                // A passing trouble does not make what is known less true.
                Err(_) => {}
            }
        }
    }

    /// Known brokers and bootstrap addresses, each once, beginning with another one each time.
    fn addresses(&self) -> Vec<String> {
        let mut addresses: Vec<String> =
            self.0.view.borrow().brokers.iter().map(crate::view::Broker::address).collect();
        let turn = self.0.turn.get();
        self.0.turn.set(turn.wrapping_add(1));
        if !addresses.is_empty() {
            let start = turn % addresses.len();
            addresses.rotate_left(start);
        }
        for address in &self.0.config.bootstrap {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        addresses
    }

    /// A connection to any broker.
    pub(crate) async fn any_peer(&self) -> Result<Peer, ClientError> {
        let mut last = None;
        for address in self.addresses() {
            match self.peer_at(&address).await {
                Ok(peer) => return Ok(peer),
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or(ClientError::Closed, ClientError::Channel))
    }

    /// A connection to the broker of this number.
    pub(crate) async fn peer(&self, broker: i32) -> Result<Peer, ClientError> {
        let address = {
            let view = self.0.view.borrow();
            let found = view.brokers.iter().find(|known| known.id == broker);
            found.map(crate::view::Broker::address)
        };
        let Some(address) = address else {
            return Err(ClientError::Refused {
                code: ErrorCode::BrokerNotAvailable,
                message: Some(format!("broker {broker} is not part of the cluster at the moment")),
            });
        };
        Ok(self.peer_at(&address).await?)
    }

    /// The connection to `address`; made if there is none, by one caller for all who want it.
    async fn peer_at(&self, address: &str) -> Result<Peer, ChannelError> {
        let shared = &self.0;
        loop {
            let place = shared.peers.borrow().get(address).cloned();
            match place {
                Some(Place::Connected(peer)) if peer.is_alive() => return Ok(peer),
                Some(Place::Connecting(done)) => done.notified().await,
                Some(Place::Connected(_)) | None => break,
            }
        }
        let done = Rc::new(Notify::new());
        let connecting = Place::Connecting(Rc::clone(&done));
        shared.peers.borrow_mut().insert(address.to_owned(), connecting);
        // Whatever happens to this future, those who wait must not wait for ever.
        let claim = Claim { cluster: self, address, done };
        let peer = Peer::connect(&shared.world, address, &shared.config).await;
        if let Ok(peer) = &peer {
            let connected = Place::Connected(peer.clone());
            shared.peers.borrow_mut().insert(address.to_owned(), connected);
        }
        drop(claim);
        peer
    }
}

/// The right to connect to an address.
struct Claim<'a> {
    cluster: &'a Cluster,
    address: &'a str,
    done: Rc<Notify>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut peers = self.cluster.0.peers.borrow_mut();
        if let Some(Place::Connecting(_)) = peers.get(self.address) {
            peers.remove(self.address);
        }
        drop(peers);
        self.done.notify_all();
    }
}
