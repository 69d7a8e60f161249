//! Reaches the cluster that the flags and the settings name.

use client::{Cluster, ClusterConfig};

use crate::args::{ClusterArgs, Protocol};
use crate::error::CliError;
use crate::settings::Settings;

/// Flags win over the file, the file over the defaults.
pub(crate) fn cluster_config(args: &ClusterArgs) -> Result<ClusterConfig, CliError> {
    let settings = Settings::read(args.config.as_deref())?;
    let protocol = args.protocol.or(settings.protocol).unwrap_or(Protocol::Kafka);
    let bootstrap = args.bootstrap.as_deref().or(settings.bootstrap.as_deref());
    let config = match protocol {
        Protocol::Kafka => ClusterConfig::kafka(bootstrap.unwrap_or("127.0.0.1:9092")),
        Protocol::Native => ClusterConfig::native(bootstrap.unwrap_or("127.0.0.1:9192")),
    };
    Ok(ClusterConfig { client_id: "corelog-cli".to_owned(), ..config })
}

/// Connects and runs `work` on this thread.
pub(crate) fn with_cluster<T>(
    config: ClusterConfig,
    work: impl AsyncFnOnce(Cluster) -> Result<T, CliError>,
) -> Result<T, CliError> {
    crate::logs::to_stderr("warn");
    let outcome = client::block_on(|world| async move {
        let cluster = Cluster::connect(&world, config).await?;
        work(cluster).await
    });
    outcome.map_err(CliError::Machine)?
}
