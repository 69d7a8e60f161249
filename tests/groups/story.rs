//! What the members of one group say, and whether it is what must be.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tests::broker::Plan;
use tests::wire::{Bytes, Wire};

use crate::member::Client;

/// Whatever a group is to do, it does it within this time or not at all.
const PATIENCE: Duration = Duration::from_secs(90);
const OFFSET_FETCH: i16 = 9;
/// Its home is being loaded, or is not known: ask again.
const TRANSIENT: [i64; 3] = [14, 15, 16];

/// What a member said.
#[derive(Debug)]
enum Word {
    Assigned,
    Read { partition: usize, offset: i64, key: String },
    Committed,
    Trouble(String),
}

/// A running member.
struct Member {
    child: Child,
    /// It leaves the group when this is closed.
    input: Option<ChildStdin>,
}

/// A group and all that its members have said, in the order in which it was heard.
pub(crate) struct Story {
    client: Client,
    plan: Plan,
    topic: String,
    members: Vec<Member>,
    words: Vec<(usize, Word)>,
    sender: Sender<(usize, String)>,
    heard: Receiver<(usize, String)>,
}

impl Story {
    pub(crate) fn new(client: &Client, plan: &Plan, topic: &str) -> io::Result<Self> {
        let (sender, heard) = channel();
        Ok(Self {
            client: client.clone(),
            plan: plan.clone(),
            topic: topic.to_owned(),
            members: Vec::new(),
            words: Vec::new(),
            sender,
            heard,
        })
    }

    fn group(&self) -> String {
        format!("group-{}", self.client.name)
    }

    /// One more member.
    pub(crate) fn join(&mut self) -> io::Result<()> {
        let client = self.client.clone();
        self.join_as(&client)
    }

    /// One more member, which may be another client.
    pub(crate) fn join_as(&mut self, client: &Client) -> io::Result<()> {
        let mut command = client.command(&self.plan.bootstrap(), &self.group(), &self.topic);
        let number = self.members.len();
        let log = self.plan.dir.with_extension(format!("{}.{number}.log", self.client.name));
        let errors = std::fs::File::create(log)?;
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn()?;
        let output = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let sender = self.sender.clone();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send((number, line)).is_err() {
                    break;
                }
            }
        });
        let input = child.stdin.take();
        self.members.push(Member { child, input });
        Ok(())
    }

    /// A member is no more, without a word.
    pub(crate) fn kill(&mut self, number: usize) -> io::Result<()> {
        self.members[number].child.kill()?;
        self.members[number].child.wait()?;
        self.members[number].input = None;
        Ok(())
    }

    /// Each of these members has something to read.
    pub(crate) fn all_read(&mut self, members: &[usize]) -> Result<(), String> {
        let mut missing: BTreeSet<usize> = members.iter().copied().collect();
        let from = self.words.len();
        self.wait(&format!("members {members:?} read"), |story| {
            for (member, word) in &story.words[from..] {
                if matches!(word, Word::Read { .. }) {
                    missing.remove(member);
                }
            }
            missing.is_empty()
        })
    }

    /// The group has read beyond what there is now, in each partition.
    pub(crate) fn reaches(&mut self, ends: &[i64]) -> Result<(), String> {
        self.wait("the group reads on in every partition", |story| {
            let mut newest = vec![-1; ends.len()];
            for (_, word) in &story.words {
                if let Word::Read { partition, offset, .. } = word {
                    newest[*partition] = newest[*partition].max(*offset);
                }
            }
            newest.iter().zip(ends).all(|(newest, end)| newest >= end)
        })
    }

    /// The group has read everything.
    pub(crate) fn reads_all(&mut self, ends: &[i64]) -> Result<(), String> {
        self.wait("the group reads everything", |story| story.unseen(ends).is_empty())
    }

    fn unseen(&self, ends: &[i64]) -> Vec<(usize, i64)> {
        let mut seen: Vec<BTreeSet<i64>> = vec![BTreeSet::new(); ends.len()];
        for (_, word) in &self.words {
            if let Word::Read { partition, offset, .. } = word {
                seen[*partition].insert(*offset);
            }
        }
        let missing = |(partition, end): (usize, &i64)| {
            let seen = &seen[partition];
            (0..*end)
                .filter(|offset| !seen.contains(offset))
                .map(move |at| (partition, at))
                .collect()
        };
        ends.iter().enumerate().flat_map::<Vec<_>, _>(missing).collect()
    }

    /// The broker tells that the group has committed everything.
    pub(crate) fn commits(&mut self, ends: &[i64]) -> Result<(), String> {
        let mut told = Vec::new();
        let done = self.wait("everything is committed", |story| {
            // A broker that is about to serve is asked again.
            told = story.committed(ends.len()).unwrap_or_default();
            told == ends
        });
        done.map_err(|why| format!("{why}: committed {told:?} of {ends:?}"))
    }

    fn committed(&self, partitions: usize) -> io::Result<Vec<i64>> {
        let mut wire = Wire::connect(self.plan.kafka)?;
        let count = i32::try_from(partitions).unwrap_or(0);
        let body = Bytes::default().text(&self.group()).i32(1).text(&self.topic).i32(count);
        let body = (0..count).fold(body, Bytes::i32);
        let mut answer = wire.call(OFFSET_FETCH, 1, &body)?;
        answer.i32()?;
        answer.text()?;
        let mut offsets = vec![-1; partitions];
        for _ in 0..answer.i32()? {
            let partition = usize::try_from(answer.i32()?).unwrap_or(usize::MAX);
            let offset = answer.i64()?;
            answer.text()?;
            let code = answer.i16()?;
            if code != 0 && !TRANSIENT.contains(&code) {
                return Err(io::Error::other(format!("error {code}")));
            }
            if let Some(slot) = offsets.get_mut(partition) {
                *slot = offset;
            }
        }
        Ok(offsets)
    }

    /// A member goes by itself.
    pub(crate) fn goes(&mut self, number: usize) -> Result<(), String> {
        self.members[number].input = None;
        self.wait(&format!("member {number} leaves"), |story| {
            matches!(story.members[number].child.try_wait(), Ok(Some(_)))
        })
    }

    /// Every member that is left goes by itself.
    pub(crate) fn leave(&mut self) -> Result<(), String> {
        for member in &mut self.members {
            member.input = None;
        }
        self.wait("every member leaves", |story| {
            story.members.iter_mut().all(|member| matches!(member.child.try_wait(), Ok(Some(_))))
        })
    }

    /// Listens until `done`.
    fn wait(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            if Instant::now() >= deadline {
                return Err(format!("not in time: {what}; last troubles: {:?}", self.troubles()));
            }
            if let Ok((member, line)) = self.heard.recv_timeout(Duration::from_millis(50)) {
                self.words.extend(read(&line).map(|word| (member, word)));
            }
            while let Ok((member, line)) = self.heard.try_recv() {
                self.words.extend(read(&line).map(|word| (member, word)));
            }
        }
        Ok(())
    }

    fn troubles(&self) -> Vec<(usize, &str)> {
        let troubles = self.words.iter().rev().filter_map(|(member, word)| match word {
            Word::Trouble(text) => Some((*member, text.as_str())),
            Word::Assigned | Word::Read { .. } | Word::Committed => None,
        });
        troubles.take(3).collect()
    }

    /// Whether all that was read is what was written, each record once at least, in order.
    pub(crate) fn judge(&self, ends: &[i64]) -> Result<String, String> {
        let unseen = self.unseen(ends);
        if !unseen.is_empty() {
            return Err(format!("{} records were never seen: {:?}", unseen.len(), unseen.first()));
        }
        let mut keys: BTreeMap<(usize, i64), &str> = BTreeMap::new();
        // Where each member is in each partition since it was last given partitions.
        let mut places: BTreeMap<(usize, usize), i64> = BTreeMap::new();
        let (mut read, mut assigned, mut committed) = (0, 0, 0);
        for (member, word) in &self.words {
            match word {
                Word::Assigned => {
                    assigned += 1;
                    places.retain(|(of, _), _| of != member);
                }
                Word::Committed => committed += 1,
                Word::Trouble(_) => {}
                Word::Read { partition, offset, key } => {
                    read += 1;
                    let before = places.insert((*member, *partition), *offset);
                    if before.is_some_and(|before| *offset != before + 1) {
                        return Err(format!(
                            "member {member} read {offset} of partition {partition} after {before:?}"
                        ));
                    }
                    if *keys.entry((*partition, *offset)).or_insert(key) != key {
                        return Err(format!("two records at offset {offset} of {partition}"));
                    }
                }
            }
        }
        let records: i64 = ends.iter().sum();
        let again = read - keys.len();
        Ok(format!(
            "{records} records, {again} read again, {assigned} assignments, {committed} commits"
        ))
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        for member in &mut self.members {
            // One that has left needs no killing.
            let _gone = member.child.kill();
            let _waited = member.child.wait();
        }
    }
}

fn read(line: &str) -> Option<Word> {
    let mut words = line.split(' ');
    match words.next()? {
        "A" => Some(Word::Assigned),
        "C" => Some(Word::Committed),
        "R" => {
            let partition = words.next()?.parse().ok()?;
            let offset = words.next()?.parse().ok()?;
            Some(Word::Read { partition, offset, key: words.next()?.to_owned() })
        }
        "E" => Some(Word::Trouble(line.to_owned())),
        _ => None,
    }
}
