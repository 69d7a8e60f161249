//! The data directory: found fit, found ours, and held for as long as the broker runs.

use std::io;
use std::path::Path;

use runtime::{FileSystem, World, block_on};
use storage::{DataDir, Identity, Manifest, OpenError};

use crate::broker::StartError;
use crate::config::BrokerConfig;

/// Takes the directory, making it if there is none. Its cluster id, if none was asked for, is the
/// one it has, or a new one.
pub(crate) fn take(config: &BrokerConfig) -> Result<DataDir, StartError> {
    let refused = |reason: String| StartError::Directory { dir: config.dir.clone(), reason };
    let taken = block_on(|world| async move {
        fit(&world, config).await?;
        let cluster = match (&config.cluster_id, known_cluster(&world, &config.dir).await?) {
            (Some(asked), _) => asked.clone(),
            (None, Some(known)) => known,
            (None, None) => new_cluster_id(&world),
        };
        let identity = Identity { cluster, broker: config.broker_id };
        let shards = u32::try_from(config.shards).unwrap_or(u32::MAX);
        DataDir::open(&world, &config.dir, &identity, shards)
            .await
            .map_err(|error| error.to_string())
    });
    let directory =
        taken.map_err(|error| StartError::Machine(error.to_string()))?.map_err(refused)?;
    if directory.shards_before as usize != config.shards {
        return Err(refused(format!(
            "it was made with --shards {}; start with as many",
            directory.shards_before
        )));
    }
    Ok(directory)
}

/// Refuses file systems that cannot keep what was synced.
async fn fit(world: &World, config: &BrokerConfig) -> Result<(), String> {
    let disk = world.disk();
    disk.create_dir_all(&config.dir).await.map_err(|error| error.to_string())?;
    match disk.file_system(&config.dir).await.map_err(|error| error.to_string())? {
        FileSystem::Tmpfs if !config.any_file_system => Err("it is on tmpfs, which is memory: \
             nothing there survives a power cut (any-file-system = true in the configuration \
             file takes it all the same)"
            .to_owned()),
        FileSystem::Overlay => {
            tracing::warn!("the data directory is on overlayfs; give it a volume of its own");
            Ok(())
        }
        FileSystem::Tmpfs | FileSystem::Other(_) => Ok(()),
    }
}

/// The cluster an existing directory belongs to.
async fn known_cluster(world: &World, dir: &Path) -> Result<Option<String>, String> {
    match Manifest::read(world, dir).await {
        Ok(manifest) => Ok(Some(manifest.identity.cluster)),
        Err(OpenError::Manifest("missing")) => Ok(None),
        Err(OpenError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// 128 random bits, written as Kafka writes cluster ids.
fn new_cluster_id(world: &World) -> String {
    let bits = (u128::from(world.random()) << 64) | u128::from(world.random());
    protocol::TopicId::new(bits.to_be_bytes()).to_string()
}
