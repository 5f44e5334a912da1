//! Random schedules, played with made-up work.

use super::*;
use std::collections::VecDeque;

/// A generator of numbers that needs no crate (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }
}

/// A piece of work: what it may cost at most, and what it costs.
#[derive(Clone, Copy, Debug)]
struct Work {
    most: u64,
    cost: u64,
}

struct Player {
    scheduler: Scheduler,
    queues: Vec<VecDeque<Work>>,
    served: Vec<u64>,
    /// Rounds until the queue was empty.
    done: Vec<Option<u64>>,
}

fn share(weight: u64, max_lanes: u64) -> Share {
    let positive = |value: u64| NonZeroU32::new(value as u32).expect("positive");
    Share { weight: positive(weight), max_lanes: positive(max_lanes) }
}

impl Player {
    fn new(quantum: u64, lanes: u64, shares: &[Share], queues: &[VecDeque<Work>]) -> Self {
        let quantum = NonZeroU64::new(quantum).expect("positive");
        let mut scheduler = Scheduler::new(quantum, NonZeroU32::new(lanes as u32).expect("positive"));
        for share in shares {
            scheduler.add(*share);
        }
        Self { scheduler, queues: queues.to_vec(), served: vec![0; shares.len()], done: vec![None; shares.len()] }
    }

    /// One round; `pick` chooses which of the running transactions ends next. Returns how many each served.
    fn round(&mut self, pick: &mut impl FnMut(usize) -> usize) -> Vec<usize> {
        let mut counts = vec![0; self.queues.len()];
        self.scheduler.begin_round(|index| !self.queues[index].is_empty());
        let mut running: Vec<(usize, Work)> = Vec::new();
        loop {
            let mut started = true;
            while started {
                started = false;
                for index in self.scheduler.turns() {
                    if self.scheduler.may_start(index)
                        && let Some(work) = self.queues[index].pop_front()
                    {
                        self.scheduler.start(index, work.most);
                        running.push((index, work));
                        started = true;
                    }
                }
            }
            if running.is_empty() {
                break;
            }
            let (index, work) = running.swap_remove(pick(running.len()));
            self.scheduler.finish(index, work.most, work.cost);
            self.served[index] += work.cost;
            counts[index] += 1;
        }
        for (done, queue) in self.done.iter_mut().zip(&self.queues) {
            if queue.is_empty() {
                done.get_or_insert(self.scheduler.round());
            }
        }
        counts
    }

    fn finished(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }
}

fn random_work(numbers: &mut Numbers, count: u64, largest: u64) -> VecDeque<Work> {
    (0..count)
        .map(|_| {
            let most = numbers.range(1, largest);
            Work { most, cost: numbers.range(1, most) }
        })
        .collect()
}

#[test]
fn the_starvation_bound_holds_in_10000_random_schedules() {
    let mut reached = 0;
    for seed in 0..10_000 {
        let mut numbers = Numbers(seed);
        let count = numbers.range(1, 12) as usize;
        let (quantum, lanes) = (numbers.range(1, 500), numbers.range(1, 64));
        let shares: Vec<_> = (0..count).map(|_| share(numbers.range(1, 20), numbers.range(1, 32))).collect();
        let queues: Vec<_> = (0..count)
            .map(|_| {
                let (length, largest) = (numbers.range(0, 30), numbers.range(1, 2000));
                random_work(&mut numbers, length, largest)
            })
            .collect();
        let mut player = Player::new(quantum, lanes, &shares, &queues);
        let bounds: Vec<_> = (0..count)
            .map(|index| {
                let work = queues[index].iter().map(|work| u128::from(work.cost)).sum();
                player.scheduler.starvation_bound(index, work)
            })
            .collect();
        while !player.finished() {
            player.round(&mut |running| numbers.next() as usize % running);
            assert!(player.scheduler.round() <= bounds.iter().copied().max().unwrap_or(0), "seed {seed}: stuck");
        }
        for (index, bound) in bounds.iter().enumerate().filter(|(index, _)| !queues[*index].is_empty()) {
            let done = player.done[index].expect("it is finished");
            assert!(done <= *bound, "seed {seed}: environment {index} took {done} rounds, at most {bound}");
            reached += usize::from(done == *bound);
        }
    }
    assert!(reached > 10_000, "the bound is tight: {reached} environments needed all of it");
}

#[test]
fn lanes_and_their_order_change_nothing() {
    for seed in 0..1_000 {
        let mut numbers = Numbers(seed);
        let count = numbers.range(1, 8) as usize;
        let quantum = numbers.range(1, 500);
        let queues: Vec<_> = (0..count).map(|_| random_work(&mut numbers, 20, 1000)).collect();
        let weights: Vec<_> = (0..count).map(|_| numbers.range(1, 9)).collect();
        let mut play = |lanes: u64| {
            let shares: Vec<_> = weights.iter().map(|weight| share(*weight, numbers.range(1, 64))).collect();
            let mut player = Player::new(quantum, lanes, &shares, &queues);
            let mut rounds = Vec::new();
            while !player.finished() {
                rounds.push(player.round(&mut |running| numbers.next() as usize % running));
            }
            rounds
        };
        let alone = play(1);
        for lanes in [2, 7, 64, 1000] {
            assert_eq!(play(lanes), alone, "seed {seed}, {lanes} lanes");
        }
    }
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "a ratio")]
fn shares_follow_weights_within_5_percent_under_overload() {
    for seed in 0..200 {
        let mut numbers = Numbers(seed);
        let count = numbers.range(2, 12) as usize;
        let weights: Vec<_> = (0..count).map(|_| numbers.range(1, 10)).collect();
        let shares: Vec<_> = weights.iter().map(|weight| share(*weight, numbers.range(1, 16))).collect();
        // Nobody runs out of work, and the sizes of the pieces differ wildly between environments.
        let queues: Vec<_> = (0..count)
            .map(|_| {
                let largest = numbers.range(10, 3000);
                random_work(&mut numbers, 1_600_000 / largest, largest)
            })
            .collect();
        let mut player = Player::new(1000, numbers.range(1, 64), &shares, &queues);
        for _ in 0..80 {
            if player.queues.iter().any(VecDeque::is_empty) {
                break;
            }
            player.round(&mut |running| numbers.next() as usize % running);
        }
        let rounds = player.scheduler.round();
        assert!(rounds >= 20, "seed {seed}: only {rounds} rounds under overload");
        let (total, all) = (player.served.iter().sum::<u64>() as f64, weights.iter().sum::<u64>() as f64);
        // Each may overdraw by less than one piece of work; beyond that, 5%.
        for (index, weight) in weights.iter().enumerate() {
            let (got, due) = (player.served[index] as f64 / total, *weight as f64 / all);
            let piece = queues[index].iter().map(|work| work.cost).max().unwrap_or(0) as f64 / total;
            assert!((got - due).abs() <= 0.05 * due + piece, "seed {seed}: environment {index}: {got} of {due}");
        }
    }
}

#[test]
fn shares_are_exact_for_small_pieces() {
    let shares = [share(4, 8), share(2, 1), share(1, 64), share(1, 3)];
    let queues = vec![VecDeque::from(vec![Work { most: 50, cost: 20 }; 100_000]); 4];
    let mut player = Player::new(1_000, 16, &shares, &queues);
    for _ in 0..100 {
        player.round(&mut |_| 0);
    }
    assert_eq!(player.served, [400_000, 200_000, 100_000, 100_000]);
}

#[test]
fn idle_credit_does_not_pile_up_and_debt_is_kept() {
    let shares = [share(1, 4), share(1, 4)];
    let queues = [VecDeque::new(), VecDeque::from(vec![Work { most: 10, cost: 10 }; 100])];
    let mut player = Player::new(100, 4, &shares, &queues);
    for _ in 0..5 {
        player.round(&mut |_| 0);
    }
    player.queues[0] = VecDeque::from(vec![Work { most: 10, cost: 10 }; 100]);
    player.queues[1] = player.queues[0].clone();
    let counts = player.round(&mut |_| 0);
    assert_eq!(counts, [10, 10], "five idle rounds earn nothing");
    player.scheduler.charge(0, 150);
    assert_eq!(player.scheduler.starvation_bound(0, 50), 2);
    assert_eq!(player.round(&mut |_| 0), [0, 10], "the charge of 150 is paid first");
    assert_eq!(player.round(&mut |_| 0), [5, 10]);
}

#[test]
fn a_restored_scheduler_goes_on_alike() {
    let shares = [share(3, 4), share(1, 4)];
    let queues = vec![VecDeque::from(vec![Work { most: 70, cost: 60 }; 100]); 2];
    let mut player = Player::new(100, 4, &shares, &queues);
    player.round(&mut |_| 0);
    let (round, deficits) = player.scheduler.checkpoint();
    let mut other = Player::new(100, 4, &shares, &player.queues);
    other.scheduler.restore(round, &deficits);
    for _ in 0..5 {
        assert_eq!(player.round(&mut |_| 0), other.round(&mut |_| 0));
    }
}
