//! A thread that sleeps in the kernel without a beat is woken; one that beats is left alone.

use std::time::Instant;

use super::*;

/// Sleeps in the kernel as an executor does; whether a signal ended it early.
fn sleep(time: Duration) -> bool {
    let millis = libc::c_int::try_from(time.as_millis()).unwrap();
    // SAFETY: no descriptors are named.
    let outcome = unsafe { libc::poll(std::ptr::null_mut(), 0, millis) };
    outcome < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
}

#[test]
fn a_shard_that_was_struck_before_its_first_beat_is_woken() {
    let begun = Instant::now();
    let _watch = Watch::begin();
    assert!(sleep(Duration::from_secs(20)), "nobody woke the thread");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_shard_whose_heart_stops_is_woken_and_one_that_ended_is_not() {
    let watch = Watch::begin();
    watch.beats().beat();
    assert!(sleep(Duration::from_secs(20)), "nobody woke the thread");
    drop(watch);
    assert!(!sleep(LOOK_EVERY * 3), "a thread that is no shard any more was signalled");
}

/// With a preempt timer that is about as short as a turn is long, W1 strikes an executor in many of its first turns, as a
/// busy machine does now and then. It then parks with its first task runnable and nothing armed. How short that is depends
/// on the machine; much shorter, and those who are woken are struck again and again.
#[test]
fn an_executor_struck_in_its_first_turn_runs_all_the_same() {
    let (mut struck, mut executors) = (0, 0);
    for micros in [200, 100, 70, 50, 35, 25, 15, 10] {
        for _ in 0..10 {
            if struck == 5 {
                break;
            }
            executors += 1;
            let took = run_one(Duration::from_micros(micros));
            let took = took.expect("the executor does not sleep for ever");
            struck += u32::from(took > Duration::from_millis(100));
        }
    }
    println!("W1: {struck} of {executors} executors were struck in their first turn, and woken");
}

/// How long an executor with nothing to do takes; `None` if it is not done within half a minute.
fn run_one(preempt_timer: Duration) -> Option<Duration> {
    let (send, done) = std::sync::mpsc::channel();
    let shard = std::thread::spawn(move || {
        let _watch = Watch::begin();
        let builder = glommio::LocalExecutorBuilder::new(glommio::Placement::Unbound);
        let executor = builder.preempt_timer(preempt_timer).make().unwrap();
        let begun = Instant::now();
        executor.run(async {});
        send.send(begun.elapsed()).unwrap();
    });
    let took = done.recv_timeout(Duration::from_secs(30)).ok()?;
    shard.join().unwrap();
    Some(took)
}
