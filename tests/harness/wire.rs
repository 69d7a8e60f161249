//! The Kafka protocol by hand: enough of it to say what no honest client says, and to read the answers.
//!
//! It shares no code with the broker, so that the two can disagree. Old, rigid versions are spoken
//! where any will do; they are easier to bend.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// No answer that a test asks for is longer.
const ANSWER_MAX: usize = 200 << 20;

pub const PRODUCE: i16 = 0;
pub const FETCH: i16 = 1;
pub const LIST_OFFSETS: i16 = 2;
pub const METADATA: i16 = 3;
pub const API_VERSIONS: i16 = 18;
pub const CREATE_TOPICS: i16 = 19;
pub const INIT_PRODUCER_ID: i16 = 22;

/// Bytes being written, big-endian, as Kafka's rigid versions have them.
#[derive(Debug, Default, Clone)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    #[must_use]
    pub fn i8(mut self, number: i8) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    #[must_use]
    pub fn i16(mut self, number: i16) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    #[must_use]
    pub fn i32(mut self, number: i32) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    #[must_use]
    pub fn i64(mut self, number: i64) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// A string with its length in two bytes.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        let mut out = self.i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        out.0.extend(text.as_bytes());
        out
    }

    /// No string.
    #[must_use]
    pub fn no_text(self) -> Self {
        self.i16(-1)
    }

    /// Bytes with their length in four bytes.
    #[must_use]
    pub fn block(self, bytes: &[u8]) -> Self {
        let mut out = self.i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        out.0.extend(bytes);
        out
    }

    /// Bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
}

/// Bytes being read.
#[derive(Debug, Clone)]
pub struct Answer {
    bytes: Vec<u8>,
    at: usize,
}

impl Answer {
    fn take(&mut self, count: usize) -> io::Result<&[u8]> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| io::Error::other("the answer is too short"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn number(&mut self, count: usize) -> io::Result<i64> {
        let taken = self.take(count)?;
        let negative = taken.first().is_some_and(|byte| byte & 0x80 != 0);
        let start = if negative { -1 } else { 0 };
        Ok(taken.iter().fold(start, |number: i64, byte| number << 8 | i64::from(*byte)))
    }

    pub fn i8(&mut self) -> io::Result<i64> {
        self.number(1)
    }

    pub fn i16(&mut self) -> io::Result<i64> {
        self.number(2)
    }

    pub fn i32(&mut self) -> io::Result<i64> {
        self.number(4)
    }

    pub fn i64(&mut self) -> io::Result<i64> {
        self.number(8)
    }

    /// A string; none when its length is negative.
    pub fn text(&mut self) -> io::Result<Option<String>> {
        match usize::try_from(self.i16()?) {
            Ok(length) => Ok(Some(String::from_utf8_lossy(self.take(length)?).into_owned())),
            Err(_negative) => Ok(None),
        }
    }

    /// A block of bytes; empty when its length is negative.
    pub fn block(&mut self) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.i32()?).unwrap_or(0);
        Ok(self.take(length)?.to_vec())
    }

    /// What was not read yet.
    pub fn left(&self) -> &[u8] {
        &self.bytes[self.at..]
    }
}

/// A whole request: length, header with a null client id, body.
pub fn request(api: i16, version: i16, correlation: i32, body: &[u8]) -> Vec<u8> {
    let mut head = Bytes::default().i16(api).i16(version).i32(correlation).no_text();
    if api != API_VERSIONS && is_flexible(api, version) || api == API_VERSIONS && version >= 3 {
        // No tagged fields.
        head = head.i8(0);
    }
    let length = i32::try_from(head.0.len() + body.len()).unwrap_or(i32::MAX);
    Bytes::default().i32(length).raw(&head.0).raw(body).0
}

/// Whether an API's header ends with tagged fields at a version; only for the APIs named here.
fn is_flexible(api: i16, version: i16) -> bool {
    let first = match api {
        PRODUCE | METADATA => 9,
        FETCH => 12,
        LIST_OFFSETS => 6,
        CREATE_TOPICS => 5,
        INIT_PRODUCER_ID => 2,
        _ => i16::MAX,
    };
    version >= first
}

/// A connection on which anything can be said.
#[derive(Debug)]
pub struct Wire {
    pub stream: TcpStream,
    correlation: i32,
}

impl Wire {
    /// Connects to a broker on loopback.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(port: u16) -> io::Result<Self> {
        Self::connect_to(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// Connects to an address.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect_to(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.set_write_timeout(Some(ANSWER_WITHIN))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, correlation: 0 })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the broker does not take them.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a request and waits for its answer, read up to the body of a rigid header.
    ///
    /// # Errors
    /// When the connection ends or the answer is another request's.
    pub fn call(&mut self, api: i16, version: i16, body: &Bytes) -> io::Result<Answer> {
        self.correlation += 1;
        self.send(&request(api, version, self.correlation, &body.0))?;
        let mut answer = self.answer()?;
        let correlation = answer.i32()?;
        if correlation != i64::from(self.correlation) {
            return Err(io::Error::other(format!("an answer to request {correlation}")));
        }
        Ok(answer)
    }

    /// Waits for one frame.
    ///
    /// # Errors
    /// When the connection ends or nothing comes in time.
    pub fn answer(&mut self) -> io::Result<Answer> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes(head) as usize;
        if length > ANSWER_MAX {
            return Err(io::Error::other(format!("an answer of {length} bytes")));
        }
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(Answer { bytes, at: 0 })
    }

    /// Whether the broker ends the connection within `limit`, whatever it sends before.
    ///
    /// # Errors
    /// When the socket cannot be set up.
    pub fn is_closed_within(&mut self, limit: Duration) -> io::Result<bool> {
        self.stream.set_read_timeout(Some(limit))?;
        let mut rest = [0; 4096];
        loop {
            match self.stream.read(&mut rest) {
                Ok(0) => return Ok(true),
                Ok(_) => {}
                Err(error) => return Ok(error.kind() == io::ErrorKind::ConnectionReset),
            }
        }
    }

    /// Asks which versions are served, to see that the broker and this connection live.
    ///
    /// # Errors
    /// When they do not.
    pub fn ping(&mut self) -> io::Result<()> {
        let error = self.call(API_VERSIONS, 0, &Bytes::default())?.i16()?;
        if error == 0 { Ok(()) } else { Err(io::Error::other(format!("error {error}"))) }
    }

    /// Creates a topic with settings; the error code.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn create_topic(
        &mut self,
        name: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> io::Result<i64> {
        let mut body = Bytes::default().i32(1).text(name).i32(partitions).i16(1).i32(0);
        body = body.i32(i32::try_from(settings.len()).unwrap_or(0));
        for (setting, value) in settings {
            body = body.text(setting).text(value);
        }
        let mut answer = self.call(CREATE_TOPICS, 4, &body.i32(10_000).i8(0))?;
        answer.i32()?;
        answer.i32()?;
        answer.text()?;
        answer.i16()
    }

    /// Produces one block of bytes with `acks=all`; the error code and the base offset.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        records: &[u8],
    ) -> io::Result<(i64, i64)> {
        let mut answer = self.call(PRODUCE, 7, &produce_body(topic, partition, records))?;
        answer.i32()?;
        answer.text()?;
        answer.i32()?;
        answer.i32()?;
        Ok((answer.i16()?, answer.i64()?))
    }

    /// Fetches from one partition; the error code, the high watermark, and the records.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn fetch(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> io::Result<(i64, i64, Vec<u8>)> {
        let body = Bytes::default().i32(-1).i32(100).i32(1).i32(50 << 20).i8(0).i32(1).text(topic);
        let body = body.i32(1).i32(partition).i64(offset).i32(10 << 20);
        let mut answer = self.call(FETCH, 4, &body)?;
        for _ in 0..2 {
            answer.i32()?;
        }
        answer.text()?;
        for _ in 0..2 {
            answer.i32()?;
        }
        let error = answer.i16()?;
        let high_watermark = answer.i64()?;
        answer.i64()?;
        for _ in 0..answer.i32()?.max(0) * 2 {
            answer.i64()?;
        }
        Ok((error, high_watermark, answer.block()?))
    }
}

/// The body of a produce request, versions 3 to 8, for one partition.
pub fn produce_body(topic: &str, partition: i32, records: &[u8]) -> Bytes {
    let body = Bytes::default().no_text().i16(-1).i32(10_000).i32(1).text(topic);
    body.i32(1).i32(partition).block(records)
}
