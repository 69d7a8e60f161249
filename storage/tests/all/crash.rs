//! Power cuts and kills at random moments, again and again: what was acknowledged is there.

use std::cell::RefCell;
use std::rc::Rc;

use futures_lite::future::or;
use protocol::epoch::LeaderEpoch;
use runtime::World;
use runtime::sim::{DiskFaults, NodeId, Sim};
use storage::{AppendError, Rule, Store, StoreConfig, StoreError};

use crate::model::{
    Model, ModelBatch, Random, append, batch, open, partition, read_somewhere, small_segments,
    stamped, tiny,
};
use crate::planted;

/// Makes and checks crash images until `images` are done.
#[derive(Default)]
struct Campaign {
    /// How often each rule was applied to images as the crash left them.
    rules: [u64; Rule::ALL.len()],
    /// And to those with damage made on purpose.
    planted_rules: [u64; Rule::ALL.len()],
    images: u64,
    /// Those of them with damage.
    planted: u64,
    acked: u64,
}

impl Campaign {
    /// Prints how often each rule was applied; every one of R1 to R17 must have been.
    fn judge(&self) {
        println!("{} images, {} of them damaged on purpose", self.images, self.planted);
        println!("{} acknowledged batches, none lost by a crash", self.acked);
        println!("rule | crashes | damaged on purpose");
        for rule in Rule::ALL {
            let (crashes, planted) = (self.rules[rule as usize], self.planted_rules[rule as usize]);
            println!("{:<4} | {crashes:>7} | {planted:>7}", format!("{rule:?}"));
        }
        assert!(self.acked > self.images, "the crashes came before anything was acknowledged");
        for rule in Rule::ALL.into_iter().filter(|rule| *rule != Rule::R24) {
            let count = self.rules[rule as usize] + self.planted_rules[rule as usize];
            assert!(count > 0, "{rule:?} was never met");
        }
    }
}

fn add(sums: &mut [u64], counts: [u32; Rule::ALL.len()]) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum += u64::from(count);
    }
}

fn images() -> u64 {
    match std::env::var("CORELOG_IMAGES") {
        Ok(text) => text.parse().expect("CORELOG_IMAGES is a number"),
        Err(_) if std::env::var_os("CORELOG_LONG").is_some() => 100_000,
        Err(_) => 5_000,
    }
}

#[test]
fn acknowledged_records_survive_every_crash() {
    let mut campaign = Campaign::default();
    let wanted = images();
    let mut seeds: Vec<u64> = include_str!("../seeds.txt")
        .lines()
        .filter_map(|line| line.split('#').next()?.trim().parse().ok())
        .collect();
    if let Ok(seed) = std::env::var("CORELOG_SEED") {
        seeds = vec![seed.parse().expect("CORELOG_SEED is a number")];
        run_seed(seeds[0], &mut campaign);
        return;
    }
    seeds.reverse();
    let mut fresh = 0;
    while campaign.images < wanted {
        let seed = seeds.pop().unwrap_or_else(|| {
            fresh += 1;
            fresh
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            run_seed(seed, &mut campaign);
        }));
        if let Err(panic) = outcome {
            eprintln!("run again with CORELOG_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
    campaign.judge();
}

/// One disk, a handful of crashes.
fn run_seed(seed: u64, campaign: &mut Campaign) {
    let mut random = Random::new(seed);
    let config = tiny(&mut random);
    let sim = Sim::new(seed);
    let slow = random.chance(30);
    let model = Rc::new(RefCell::new(Model::default()));
    let crashes = 4 + random.below(8);
    for _ in 0..crashes {
        let disk = sim.disk(NodeId(0));
        let mut faults = if slow { DiskFaults::default() } else { DiskFaults::instant() };
        let span = if random.chance(50) { 60 } else { 600 };
        faults.halt_after_ops = Some(disk.ops() + 5 + random.below(span));
        disk.set_faults(faults);
        let (halted, run_model, run_config) = (disk.clone(), model.clone(), config.clone());
        let mut run_random = Random::new(random.next());
        let ended = sim.run(|world| {
            or(
                async move {
                    halted.halted().await;
                    None
                },
                async move {
                    Some(session(&world, &run_config, &run_model, &mut run_random).await)
                },
            )
        });
        let rules = ended.expect("it does not hang");
        add(&mut campaign.rules, rules.unwrap_or_default());
        sim.kill(NodeId(0));
        let next = if random.chance(70) { disk.crash(random.next()) } else { disk.kill() };
        sim.set_disk(NodeId(0), next);
        trace(|| "crash".to_owned());
        // Rules of sessions that were cut short are counted here.
        campaign.images += 1;
    }
    let disk = sim.disk(NodeId(0));
    // A random generator of its own: the crashes of a seed stay what they were.
    let mut planting = Random::new(seed ^ 0x0070_6c61_6e74);
    for _ in 0..2 {
        if let Some(rules) = planted::recover(&disk, &model.borrow(), &config, &mut planting) {
            add(&mut campaign.planted_rules, rules);
            campaign.images += 1;
            campaign.planted += 1;
        }
    }
    // One more start, with nothing going wrong, in which everything is looked at.
    disk.set_faults(DiskFaults::instant());
    let (last_model, last_config) = (model.clone(), config);
    let rules = sim
        .run(async |world| {
            let (store, report) = open(&world, &last_config).await.expect("it opens");
            let mut model = last_model.borrow().clone();
            model.check(&store, &report).await;
            store.close().await.expect("nothing fails");
            report.rules
        })
        .expect("it does not hang");
    add(&mut campaign.rules, rules);
    campaign.acked += model.borrow().acked;
}

fn trace(text: impl FnOnce() -> String) {
    if std::env::var_os("CORELOG_TRACE").is_some() {
        println!("{}", text());
    }
}

/// From start to crash or clean stop.
async fn session(
    world: &World,
    config: &StoreConfig,
    model: &Rc<RefCell<Model>>,
    random: &mut Random,
) -> [u32; Rule::ALL.len()] {
    let (store, report) = open(world, config).await.expect("it opens");
    trace(|| format!("opened {report:?}"));
    {
        let mut checked = model.borrow().clone();
        checked.check(&store, &report).await;
        *model.borrow_mut() = checked;
    }
    let steps = random.below(400);
    for _ in 0..steps {
        step(&store, world, model, random).await;
    }
    if random.chance(50) {
        store.close().await.expect("nothing fails");
        let newest = store.newest_ticket();
        model.borrow_mut().ack(newest);
    }
    report.rules
}

async fn step(store: &Store, world: &World, model: &Rc<RefCell<Model>>, random: &mut Random) {
    let number = random.below(6) as u8;
    let id = partition(number);
    match random.below(100) {
        0..70 => append_some(store, model, random, number),
        70..80 => {
            let ticket = store.newest_ticket();
            store.durable(ticket).await.expect("nothing fails");
            trace(|| format!("durable {ticket:?}"));
            model.borrow_mut().ack(ticket);
        }
        80..88 => {
            let Some(log) = store.log(id) else { return };
            let known = model.borrow().logs.get(&id).cloned();
            if let Some(known) = known {
                read_somewhere(&log, &known, random).await;
            }
        }
        88..92 => {
            let Some(log) = store.log(id) else { return };
            let to = log.log_start_offset().get()
                + random.below(1 + log.durable_offset().since(log.log_start_offset())) as i64;
            let trimmed = {
                let mut model = model.borrow_mut();
                let known = model.logs.get_mut(&id).expect("every log has a model");
                known.trim_asked = known.trim_asked.max(to);
                log.trim(protocol::offset::Offset::new(to).unwrap()).expect("inside the log")
            };
            if random.chance(50) {
                store.durable(trimmed).await.expect("nothing fails");
                let mut model = model.borrow_mut();
                model.ack(trimmed);
                let known = model.logs.get_mut(&id).expect("every log has a model");
                known.trim_acked = known.trim_acked.max(to);
            }
        }
        92..94 => {
            store.tick(world.wall_ms()).await.expect("nothing fails");
        }
        94..96 => {
            store.flush().await.expect("nothing fails");
        }
        96 => delete(store, model, number).await,
        _ => world.sleep(std::time::Duration::from_millis(random.below(60))).await,
    }
}

async fn delete(store: &Store, model: &Rc<RefCell<Model>>, number: u8) {
    let id = partition(number);
    if store.log(id).is_none() {
        return;
    }
    model.borrow_mut().logs.get_mut(&id).expect("every log has a model").delete_asked = true;
    trace(|| format!("delete {id}"));
    store.delete(id).await.expect("it is there");
    trace(|| format!("deleted {id}"));
    let mut model = model.borrow_mut();
    let newest = model.logs.remove(&id);
    drop(newest);
    // From now on it must not come back; its number may be used anew.
}

fn append_some(store: &Store, model: &Rc<RefCell<Model>>, random: &mut Random, number: u8) {
    let id = partition(number);
    let mut model = model.borrow_mut();
    let log = match store.log(id) {
        Some(log) => log,
        None => {
            let settings = small_segments(random);
            match store.create_soon(id, settings, LeaderEpoch::ZERO) {
                Ok(log) => {
                    let known = model.logs.entry(id).or_default();
                    known.created = Some(log.last_ticket());
                    trace(|| format!("create {id} {:?}", log.last_ticket()));
                    log
                }
                // Its files are still being removed.
                Err(StoreError::Exists) => return,
                Err(error) => panic!("{error}"),
            }
        }
    };
    log.configure(small_segments(random));
    for _ in 0..1 + random.below(4) {
        let bytes = match random.below(20) {
            0..14 => 20 + random.below(400),
            14..18 => 1000 + random.below(5000),
            _ => 9000 + random.below(30_000),
        };
        model.next_mark += 1;
        let mark = model.next_mark;
        let known = model.logs.entry(id).or_default();
        let records = 1 + random.below(3) as usize;
        let producer = random.chance(50).then_some((i64::from(number), 0, known.sequence));
        let sent = batch(mark, records, bytes as usize / records + 1, producer);
        match append(&log, &sent) {
            Ok(appended) => {
                let base = appended.base_offset.get();
                assert_eq!(base, known.end(), "offsets are contiguous");
                assert!(!appended.duplicate);
                if producer.is_some() {
                    known.sequence += records as i32;
                }
                known.batches.push(ModelBatch {
                    base,
                    next: appended.next_offset.get(),
                    bytes: Rc::new(stamped(&sent, base)),
                    ticket: appended.ticket,
                    acked: false,
                    sent: Rc::new(sent),
                    producer: producer.is_some(),
                });
            }
            Err(AppendError::Full) => return,
            Err(error) => panic!("{error}"),
        }
    }
}
