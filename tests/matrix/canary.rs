//! Proof that the readers can see a fault: topics that were written wrong on purpose must fail.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tests::records::{self, Row};
use tests::seeded::Seeded;

use crate::client::Client;
use crate::job::{self, Job, Role, TopicJob};
use crate::{PARTITIONS, Run, now_ms, say};

/// Few records are enough to be wrong once.
const RECORDS: usize = 30;

/// Spoils one record, or the order, or the number of them.
type Spoil = fn(&mut Vec<Row>);

const FAULTS: [(&str, Spoil); 7] = [
    ("value", |rows| rows[17].value.push('!')),
    ("key", |rows| rows[11].key = "another".into()),
    ("time", |rows| rows[20].time += 1),
    // Two records of different partitions: only the header that counts the records goes wrong.
    ("header", |rows| rows.swap(4, 5)),
    ("order", |rows| rows.swap(4, 7)),
    ("missing", |rows| drop(rows.pop())),
    ("extra", |rows| {
        let row = rows[29].clone();
        rows.push(row);
    }),
];

/// One client writes the spoilt topics and a sound one; every reader must tell them apart.
pub(crate) fn fly(run: &mut Run, clients: &[Arc<Client>]) -> io::Result<()> {
    let Some(writer) = job::topic_maker(clients) else {
        say("no canary: it needs franz-go");
        return Ok(());
    };
    let truth = run.dir.join("canary.jsonl");
    let mut seeded = Seeded::new(run.options.seed);
    let rows = records::generate(RECORDS, PARTITIONS, now_ms() - 1_000_000, &mut seeded);
    records::write(&truth, &rows)?;
    let mut topics = vec![spoil(run, writer, &truth, "sound", &rows, |_| {})?];
    for (name, fault) in FAULTS {
        topics.push(spoil(run, writer, &truth, name, &rows, fault)?);
    }

    let readers = clients.iter().filter(|client| client.runs() && client.consumes);
    let jobs: Vec<_> = readers
        .map(|client| (Arc::clone(client), Job::new(Role::Consume, run, topics.clone())))
        .collect();
    for (client, job, outcome) in job::run_all(jobs, run.options.jobs, run.limit()) {
        let blind: Vec<&str> = job
            .topics
            .iter()
            .filter(|topic| outcome.of(&topic.topic, RECORDS).is_ok() != (topic.codec == "sound"))
            .map(|topic| topic.codec.as_str())
            .collect();
        let text = if blind.is_empty() {
            format!("{} tells every planted fault", client.name)
        } else {
            format!("{} misjudged planted faults: {}", client.name, blind.join(", "))
        };
        run.table.note(blind.is_empty(), text);
    }
    Ok(())
}

fn spoil(
    run: &Run,
    writer: &Arc<Client>,
    truth: &Path,
    name: &str,
    rows: &[Row],
    fault: Spoil,
) -> io::Result<TopicJob> {
    let mut spoilt = rows.to_vec();
    fault(&mut spoilt);
    let file = run.dir.join(format!("canary-{name}.jsonl"));
    records::write(&file, &spoilt)?;
    let mut topic = TopicJob::of(writer, "none", truth, 0);
    topic.topic = format!("canary.{name}");
    let job = Job::new(Role::Produce, run, vec![topic.clone()]).sending(&file);
    let jobs = vec![(Arc::clone(writer), job)];
    for (_, _, outcome) in job::run_all(jobs, 1, run.limit()) {
        outcome.of(&topic.topic, spoilt.len()).map_err(io::Error::other)?;
    }
    topic.codec = name.into();
    Ok(topic)
}
