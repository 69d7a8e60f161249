//! A keyed stream, written by hand while the broker comes and goes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tests::batch;
use tests::wire::Wire;

/// Records of one batch, and the pause after it.
const BATCH: i64 = 5;
const PAUSE: Duration = Duration::from_millis(20);

/// A writer that goes on until it is stopped.
pub(crate) struct Stream {
    port: u16,
    topic: String,
    partitions: i32,
    ending: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
}

impl Stream {
    /// Creates the topic and begins to write.
    ///
    /// # Errors
    /// The topic cannot be created.
    pub(crate) fn start(port: u16, topic: &str, partitions: i32) -> io::Result<Self> {
        let code = Wire::connect(port)?.create_topic(topic, partitions, &[])?;
        if code != 0 {
            return Err(io::Error::other(format!("creating {topic}: error {code}")));
        }
        let ending = Arc::new(AtomicBool::new(false));
        let (name, ended) = (topic.to_owned(), Arc::clone(&ending));
        let writer = thread::spawn(move || write(port, &name, partitions, &ended));
        let topic = topic.to_owned();
        Ok(Self { port, topic, partitions, ending, writer: Some(writer) })
    }

    /// Writes no more.
    ///
    /// # Errors
    /// The writer has failed.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        self.ending.store(true, Ordering::Relaxed);
        let ended = self.writer.take().map(JoinHandle::join);
        match ended {
            Some(Err(_panicked)) => Err(io::Error::other("the writer has failed")),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// Where each partition ends now.
    ///
    /// # Errors
    /// The broker does not say.
    pub(crate) fn ends(&self) -> io::Result<Vec<i64>> {
        let mut wire = Wire::connect(self.port)?;
        let end = |index| {
            let (code, high_watermark, _) = wire.fetch(&self.topic, index, 0)?;
            if code == 0 {
                Ok(high_watermark)
            } else {
                Err(io::Error::other(format!("error {code}")))
            }
        };
        (0..self.partitions).map(end).collect()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
    }
}

/// Milliseconds since 1970: what is older than a week would be deleted under the readers.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Writes to each partition in turn. A batch that is not acknowledged is sent again, so it may be there twice.
fn write(port: u16, topic: &str, partitions: i32, ending: &AtomicBool) {
    let mut wire = None;
    let mut turn = 0_i64;
    while !ending.load(Ordering::Relaxed) {
        let partition = i32::try_from(turn % i64::from(partitions)).unwrap_or(0);
        let records: Vec<Vec<u8>> = (0..BATCH)
            .map(|at| {
                let key = format!("key-{partition}-{}", (turn * BATCH + at) % 7);
                batch::record(at, key.as_bytes(), format!("{turn}.{at}").as_bytes())
            })
            .collect();
        let bytes = batch::batch(&records, now_ms());
        wire = wire.or_else(|| Wire::connect(port).ok());
        let sent = wire.as_mut().map(|wire| wire.produce(topic, partition, &bytes));
        match sent {
            Some(Ok((0, _))) => turn += 1,
            Some(Ok(_)) => {}
            Some(Err(_)) | None => wire = None,
        }
        thread::sleep(PAUSE);
    }
}
