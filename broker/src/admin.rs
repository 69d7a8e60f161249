//! The admin port: `GET /metrics` for Prometheus and `GET /health` for probes.
//!
//! HTTP/1.1, one request per connection, no body. Parsing is the crate `httparse`'s.

use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use runtime::{Listener, ShardId, Stream, TaskClass};

use crate::answer::Answer;
use crate::metrics::{self, Gauges, Snapshot};
use crate::shard::Shard;

/// A request larger than this is refused.
const REQUEST_BYTES_MAX: usize = 8 * 1024;
const HEADERS_MAX: usize = 64;
/// A request must be here, and its answer taken, within this time.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests served at the same time.
const AT_ONCE_MAX: usize = 64;

/// Serves the admin port until the listener is closed.
pub(crate) async fn serve(shard: Rc<Shard>, listener: Rc<Listener>) {
    let running = Rc::new(());
    while let Ok(stream) = listener.accept().await {
        if Rc::strong_count(&running) > AT_ONCE_MAX {
            stream.shutdown(Shutdown::Both);
            continue;
        }
        let ours = Rc::clone(&running);
        let shard_here = Rc::clone(&shard);
        shard.world.spawn(TaskClass::Serve, async move {
            let world = shard_here.world.clone();
            let closer = stream.closer();
            if world.timeout(PATIENCE, answer(&shard_here, stream)).await.is_err() {
                closer.shutdown(Shutdown::Both);
            }
            drop(ours);
        });
    }
}

async fn answer(shard: &Rc<Shard>, stream: Stream) {
    let (mut receiver, mut sender) = stream.split();
    let mut buffer = BytesMut::with_capacity(1024);
    let response = loop {
        match receiver.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        match route(&buffer) {
            Some(Route::Metrics) => break metrics_page(shard).await,
            Some(Route::Health) => break health(shard).await,
            Some(Route::Wrong(status, text)) => break response(status, "text/plain", text),
            None if buffer.len() >= REQUEST_BYTES_MAX => {
                break response("431 Request Header Fields Too Large", "text/plain", "too large\n");
            }
            None => buffer.reserve(1024),
        }
    };
    if let Err(error) = Answer::send_all(&mut sender, [&Answer::new(response)].into_iter()).await {
        tracing::debug!(%error, "an admin client left before its answer");
    }
    sender.shutdown(Shutdown::Both);
}

enum Route {
    Metrics,
    Health,
    Wrong(&'static str, &'static str),
}

/// What is asked for, or nothing while the request is incomplete.
fn route(bytes: &[u8]) -> Option<Route> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Partial) => None,
        Err(_) => Some(Route::Wrong("400 Bad Request", "not an HTTP request\n")),
        Ok(httparse::Status::Complete(_)) => {
            let path = request.path.unwrap_or_default();
            let path = path.split_once('?').map_or(path, |(path, _query)| path);
            Some(match (request.method.unwrap_or_default(), path) {
                ("GET", "/metrics") => Route::Metrics,
                ("GET", "/health") => Route::Health,
                ("GET", _) => Route::Wrong("404 Not Found", "try /metrics or /health\n"),
                _ => Route::Wrong("405 Method Not Allowed", "only GET is served\n"),
            })
        }
    }
}

async fn metrics_page(shard: &Rc<Shard>) -> Vec<u8> {
    let page = metrics::exposition(&snapshots(shard).await);
    response("200 OK", "text/plain; version=0.0.4; charset=utf-8", &page)
}

/// The numbers of every shard that still answers.
async fn snapshots(shard: &Rc<Shard>) -> Vec<Snapshot> {
    let mut all = Vec::with_capacity(shard.count());
    for id in ShardId::all(shard.count()) {
        let snapshot = shard.on(id, |there| async move { there.metrics.snapshot(gauges(&there)) });
        if let Ok(snapshot) = snapshot.await {
            all.push(snapshot);
        }
    }
    all
}

async fn health(shard: &Rc<Shard>) -> Vec<u8> {
    let mut fenced = Vec::new();
    for id in ShardId::all(shard.count()) {
        let reason = shard
            .on(id, |there| async move { there.store.fenced().map(|reason| reason.to_string()) });
        match reason.await {
            Ok(None) => {}
            Ok(Some(reason)) => fenced.push(format!("shard {id}: {reason}")),
            Err(gone) => fenced.push(format!("shard {id}: {gone}")),
        }
    }
    if fenced.is_empty() && !shard.is_stopping() {
        return response("200 OK", "application/json", "{\"status\":\"ok\"}\n");
    }
    let status = if fenced.is_empty() { "stopping" } else { "fenced" };
    let body = serde_json::json!({ "status": status, "problems": fenced }).to_string() + "\n";
    response("503 Service Unavailable", "application/json", &body)
}

/// Names that end in `_total` are counters.
fn gauges(shard: &Shard) -> Gauges {
    let store = shard.store.stats();
    let lag = shard.world.loop_lag();
    let pool = shard.world.pool_stats();
    let count = |value: u64| value as f64;
    Gauges(vec![
        ("corelog_connections", "Connections open.", shard.registry.len() as f64),
        ("corelog_partitions", "Partitions owned.", shard.partition_count() as f64),
        ("corelog_groups", "Consumer groups known.", shard.groups.len() as f64),
        ("corelog_waiting_fetches", "Fetches waiting.", shard.waiting_fetches.get() as f64),
        (
            "corelog_store_fenced",
            "1 if the store is fenced.",
            count(u64::from(shard.store.fenced().is_some())),
        ),
        ("corelog_journal_groups_total", "Groups written to the journal.", count(store.groups)),
        (
            "corelog_journal_bytes_total",
            "Bytes written to the journal.",
            count(store.journal_bytes),
        ),
        (
            "corelog_journal_stalls_total",
            "Groups that waited for a ring file.",
            count(store.ring_stalls),
        ),
        (
            "corelog_journal_group_seconds_total",
            "Time groups took to be durable.",
            count(store.group_nanos) / 1e9,
        ),
        ("corelog_segment_bytes_total", "Bytes written to segments.", count(store.segment_bytes)),
        (
            "corelog_segment_direct_bytes_total",
            "Of these, written without the journal.",
            count(store.direct_bytes),
        ),
        ("corelog_index_bytes_total", "Bytes written to index files.", count(store.index_bytes)),
        (
            "corelog_checkpoint_bytes_total",
            "Bytes written as checkpoints.",
            count(store.checkpoint_bytes),
        ),
        ("corelog_checkpoints_total", "Checkpoints taken.", count(store.checkpoints)),
        ("corelog_syncs_total", "Syncs besides the journal's own writes.", count(store.syncs)),
        ("corelog_read_bytes_total", "Bytes read from segments.", count(store.read_bytes)),
        (
            "corelog_compactions_total",
            "Passes of compaction over a partition.",
            count(store.compactions),
        ),
        (
            "corelog_compaction_read_bytes_total",
            "Bytes read by compaction.",
            count(store.compact_in_bytes),
        ),
        (
            "corelog_compaction_written_bytes_total",
            "Bytes written by compaction.",
            count(store.compact_out_bytes),
        ),
        (
            "corelog_compaction_waiting_bytes",
            "Bytes of segments that can be compacted and are not yet.",
            count(store.compact_waiting_bytes),
        ),
        (
            "corelog_compaction_dirty_ratio_max",
            "The largest share of a partition that is not compacted, from 0 to 1.",
            count(store.compact_dirty_millionths) / 1e6,
        ),
        (
            "corelog_unflushed_bytes",
            "Bytes in journal and memory only.",
            count(store.unflushed_bytes),
        ),
        ("corelog_cache_bytes", "Memory of the logs' chunks.", count(store.cached_bytes)),
        ("corelog_pool_used_bytes", "Aligned memory in use.", pool.used_bytes as f64),
        ("corelog_pool_free_bytes", "Aligned memory kept for reuse.", pool.free_bytes as f64),
        (
            "corelog_loop_lag_p99_seconds",
            "How late the shard's heartbeat came, 99th percentile.",
            lag.p99.as_secs_f64(),
        ),
        (
            "corelog_loop_lag_max_seconds",
            "How late the shard's heartbeat came at worst.",
            lag.max.as_secs_f64(),
        ),
    ])
}

fn response(status: &str, kind: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_routed_by_method_and_path() {
        let cases = [
            ("GET /metrics HTTP/1.1\r\n\r\n", Some("metrics")),
            ("GET /metrics?x=1 HTTP/1.1\r\n\r\n", Some("metrics")),
            ("GET /health HTTP/1.1\r\nHost: h\r\n\r\n", Some("health")),
            ("GET / HTTP/1.1\r\n\r\n", Some("404 Not Found")),
            ("POST /metrics HTTP/1.1\r\n\r\n", Some("405 Method Not Allowed")),
            ("\u{0}\u{1}\r\n\r\n", Some("400 Bad Request")),
            ("GET /metrics HT", None),
        ];
        for (request, expected) in cases {
            let routed = route(request.as_bytes()).map(|route| match route {
                Route::Metrics => "metrics",
                Route::Health => "health",
                Route::Wrong(status, _) => status,
            });
            assert_eq!(routed, expected, "{request:?}");
        }
    }
}
