//! Criterion benchmarks of single passes over a workload, isolane and revm next to each other, for following one's own
//! changes. Ratios come from `compare`, which interleaves the two.

#[allow(dead_code, reason = "each benchmark uses its part")]
mod support;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use isolane::cpu::Machine;
use isolane::load::workload::Workload;
use std::error::Error;
use std::time::Duration;
use support::peer::{self, Peer, PeerState};
use support::{run_isolane, verify, workload_files};

/// Transactions of a pass: enough for the caches to matter, few enough for criterion's samples.
const PASS: usize = 256;

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    for file in workload_files()? {
        let base = Workload::read(&file)?;
        let workload = base.widen(PASS.min(base.transactions.len()));
        bench(&mut criterion, &workload)?;
    }
    criterion.final_summary();
    Ok(())
}

fn bench(criterion: &mut Criterion, workload: &Workload) -> Result<(), Box<dyn Error>> {
    verify(workload)?;
    let environment = workload.environment();
    let state = PeerState::new(workload);
    let transactions = peer::transactions(workload);
    let mut group = criterion.benchmark_group(&workload.name);
    group.throughput(Throughput::Elements(transactions.len() as u64));
    let size = transactions.len();
    let mut machine = Machine::new(environment.clone());
    group.bench_function(BenchmarkId::new("isolane", size), |bencher| {
        bencher.iter(|| run_isolane(&mut machine, &workload.transactions));
    });
    let mut peer = Peer::new(&environment, &state).expect("Cancun");
    group.bench_function(BenchmarkId::new("revm", size), |bencher| {
        bencher.iter_batched(|| transactions.clone(), |prepared| peer.run(prepared), BatchSize::LargeInput);
    });
    // All threads: each worker makes its executor when it starts a part, and the parts are large.
    let part = size.div_ceil(rayon::current_num_threads()).max(1);
    group.bench_function(BenchmarkId::new("isolane all threads", size), |bencher| {
        bencher.iter(|| {
            rayon::scope(|scope| {
                for part in workload.transactions.chunks(part) {
                    scope.spawn(|_| {
                        run_isolane(&mut Machine::new(environment.clone()), part);
                    });
                }
            });
        });
    });
    group.bench_function(BenchmarkId::new("revm all threads", size), |bencher| {
        bencher.iter_batched(
            || transactions.chunks(part).map(<[_]>::to_vec).collect::<Vec<_>>(),
            |parts| {
                rayon::scope(|scope| {
                    for part in parts {
                        scope.spawn(|_| {
                            Peer::new(&environment, &state).expect("Cancun").run(part);
                        });
                    }
                });
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
    Ok(())
}
