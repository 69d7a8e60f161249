//! The primitives, in simulated worlds, so that every order of waking is tried.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::*;
use crate::sim::{Sim, Stuck};
use crate::{TaskClass, World};

fn check<F: Future<Output = ()>>(story: impl Fn(World) -> F) {
    for seed in 0..200 {
        Sim::new(seed).run(&story).unwrap_or_else(|stuck| panic!("seed {seed}: {stuck}"));
    }
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_notification_reaches_waits_made_before_it_and_none_made_after() {
    let notify = Notify::new();
    let (mut early, mut polled) = (pin!(notify.notified()), pin!(notify.notified()));
    assert!(poll(polled.as_mut()).is_pending());
    notify.notify_all();
    let mut late = pin!(notify.notified());
    assert!(poll(early.as_mut()).is_ready(), "made before, not polled");
    assert!(poll(polled.as_mut()).is_ready());
    assert!(poll(late.as_mut()).is_pending());
    assert_eq!(notify.waiting(), 1);
}

#[test]
fn one_notification_is_kept_and_passed_on_when_its_waiter_is_dropped() {
    let notify = Notify::new();
    notify.notify_one();
    notify.notify_one();
    assert!(poll(pin!(notify.notified())).is_ready(), "kept");
    assert!(poll(pin!(notify.notified())).is_pending(), "kept once");

    let mut second = pin!(notify.notified());
    {
        let mut first = Box::pin(notify.notified());
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        notify.notify_one();
    }
    assert!(poll(second.as_mut()).is_ready(), "the dropped waiter's notification passed on");
    assert_eq!(notify.waiting(), 0, "dropped waiters leave the line");
}

#[test]
fn a_oneshot_carries_a_value_or_says_that_an_end_is_gone() {
    let (sender, receiver) = oneshot();
    sender.send(7).unwrap();
    assert_eq!(poll(pin!(receiver)), Poll::Ready(Ok(7)));
    let (sender, mut receiver) = oneshot::<u8>();
    assert!(poll(pin!(&mut receiver)).is_pending());
    assert_eq!(receiver.try_take(), None);
    drop(sender);
    assert_eq!(poll(pin!(receiver)), Poll::Ready(Err(Dropped)));
    let (sender, receiver) = oneshot();
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send(8), Err(8));
}

#[test]
fn a_queue_hands_over_every_item_once_and_in_order_per_producer() {
    check(|world| async move {
        let queue = Queue::new(3);
        let taken = Rc::new(RefCell::new(Vec::new()));
        let consumers = Gate::new();
        for producer in 0..4 {
            let (queue, nap) = (queue.clone(), world.clone());
            world.spawn(TaskClass::Serve, async move {
                for item in 0..20 {
                    if item % 7 == producer {
                        nap.turn().await;
                    }
                    queue.push((producer, item)).await.unwrap();
                }
            });
        }
        for _ in 0..3 {
            let (queue, taken, pass) = (queue.clone(), taken.clone(), consumers.enter().unwrap());
            world.spawn(TaskClass::Serve, async move {
                while let Some(item) = queue.pop().await {
                    assert!(queue.len() <= 3);
                    taken.borrow_mut().push(item);
                }
                drop(pass);
            });
        }
        while taken.borrow().len() < 80 {
            world.turn().await;
        }
        queue.close();
        consumers.close().await;
        assert_eq!(queue.try_push((9, 9)), Err(TryPush::Closed((9, 9))));
        assert_eq!(queue.push((9, 9)).await, Err(QueueClosed((9, 9))));
        let mut taken = taken.take();
        taken.sort_unstable();
        let all: Vec<_> = (0..4).flat_map(|p| (0..20).map(move |item| (p, item))).collect();
        assert_eq!(taken, all);
    });
}

#[test]
fn a_closed_queue_still_gives_what_waits() {
    check(|_| async move {
        let queue = Queue::new(5);
        for item in 0..4 {
            queue.try_push(item).unwrap();
        }
        queue.close();
        assert_eq!(queue.pop().await, Some(0));
        let mut rest = Vec::new();
        queue.pop_all(&mut rest).await;
        assert_eq!(rest, [1, 2, 3]);
        assert_eq!(queue.pop().await, None);
    });
}

#[test]
fn a_semaphore_serves_in_order_and_gets_everything_back() {
    check(|world| async move {
        let semaphore = Semaphore::new(10);
        let (inside, served) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(Vec::new())));
        let workers = Gate::new();
        let first = semaphore.acquire(10).await;
        for number in 0..12u64 {
            let (semaphore, inside, served) = (semaphore.clone(), inside.clone(), served.clone());
            let (pass, nap) = (workers.enter().unwrap(), world.clone());
            // Each is in line before the next, so the order of service is known.
            let lined_up = Rc::new(Cell::new(false));
            let told = lined_up.clone();
            world.spawn(TaskClass::Serve, async move {
                told.set(true);
                // More than half, so that they are served one by one.
                let units = 6 + number % 5;
                let permit = semaphore.acquire(units).await;
                served.borrow_mut().push(number);
                inside.set(inside.get() + units);
                assert!(inside.get() <= 10);
                nap.sleep(Duration::from_micros(number)).await;
                inside.set(inside.get() - units);
                drop((permit, pass));
            });
            while !lined_up.get() {
                world.turn().await;
            }
        }
        assert!(semaphore.try_acquire(1).is_none(), "nobody jumps the line");
        let given_up = world.timeout(Duration::from_micros(50), semaphore.acquire(99)).await;
        assert!(given_up.is_err(), "more than the total waits for the total");
        drop(first);
        workers.close().await;
        assert_eq!(*served.borrow(), (0..12).collect::<Vec<_>>());
        assert_eq!(semaphore.free(), 10);
        let mut permit = semaphore.acquire(99).await;
        assert_eq!((permit.units(), semaphore.free()), (10, 0));
        permit.release(3);
        let part = permit.split(4);
        assert_eq!((permit.units(), part.units(), semaphore.free()), (3, 4, 3));
    });
}

#[test]
fn a_gate_waits_for_those_inside_and_refuses_those_outside() {
    check(|world| async move {
        let gate = Gate::new();
        let left = Rc::new(Cell::new(0));
        for _ in 0..5 {
            let (pass, left, nap) = (gate.enter().unwrap(), left.clone(), world.clone());
            let stop = gate.clone();
            world.spawn(TaskClass::Serve, async move {
                stop.closing().await;
                nap.turn().await;
                left.set(left.get() + 1);
                drop(pass);
            });
        }
        world.turn().await;
        assert_eq!((gate.inside(), gate.is_closing()), (5, false));
        gate.close().await;
        assert_eq!((left.get(), gate.inside()), (5, 0));
        assert!(gate.enter().is_err());
        gate.close().await;
    });
}

#[test]
fn a_wait_that_nobody_ends_is_reported_with_its_place() {
    let stuck = Sim::new(1).run(|world| async move {
        let (kept, never) = oneshot::<()>();
        world.spawn(TaskClass::Serve, async move {
            never.await.unwrap();
        });
        std::future::pending::<()>().await;
        drop(kept);
    });
    let Err(Stuck::Deadlock(tasks)) = stuck else { panic!("{stuck:?}") };
    assert_eq!(tasks.len(), 2);
    assert!(tasks[1].contains("sync/tests.rs"), "{tasks:?}");
}
