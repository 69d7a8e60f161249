//! Row S5: too many connections, from one address and altogether.

use std::thread;
use std::time::{Duration, Instant};

use tests::wire::Wire;

use crate::fixture::{Fixture, is_foreign};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn s5_more_connections_than_allowed_are_closed_and_the_others_served() {
    if is_foreign() {
        return;
    }
    let config = "[limits]\nconnections-max = 60\nconnections-per-ip-max = 50\nconnections-per-second = 100000\n";
    let fixture = Fixture::start_with("s5", config);
    let mut within: Vec<Wire> = (0..50).map(|_| fixture.connect()).collect();
    for wire in &mut within {
        wire.ping().unwrap();
    }
    for _ in 0..20 {
        let mut beyond = fixture.connect();
        assert!(beyond.is_closed_within(SOON).unwrap(), "one address has more than its share");
    }
    for wire in &mut within {
        wire.ping().expect("a connection within the limit");
    }
    // Who leaves makes room.
    within.truncate(40);
    await_room(&fixture);
    fixture.finish();
}

fn await_room(fixture: &Fixture) {
    let deadline = Instant::now() + SOON;
    while fixture.connect().ping().is_err() {
        assert!(Instant::now() < deadline, "no room although ten have left");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn s5_a_storm_slows_newcomers_down_and_nobody_else() {
    let fixture = Fixture::start("s5-storm");
    let mut good = fixture.connect();
    good.ping().unwrap();
    let began = Instant::now();
    let mut opened = 0;
    let mut slowest = Duration::ZERO;
    while began.elapsed() < Duration::from_secs(3) {
        for _ in 0..50 {
            // A refusal is an answer to a storm, too.
            opened += usize::from(Wire::connect(fixture.plan.kafka).is_ok());
        }
        let asked = Instant::now();
        good.ping().unwrap();
        slowest = slowest.max(asked.elapsed());
    }
    assert!(opened > 100, "only {opened} connections were opened");
    assert!(slowest < Duration::from_secs(1), "an established client waited {slowest:?}");
    fixture.finish();
}
