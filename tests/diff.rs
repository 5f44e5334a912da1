//! scratch
use isolane::diff::{backends, coverage::Coverage, edge, generate::Generator, run};
use isolane::spec::Fork;
use rayon::prelude::*;

#[test]
fn scratch() {
    let n: u64 = std::env::var("N").map_or(5000, |n| n.parse().unwrap());
    let seed: u64 = std::env::var("SEED").map_or(1, |n| n.parse().unwrap());
    let all = backends::found();
    if std::env::var("SWEEP").is_ok() {
        let start = std::time::Instant::now();
        let (cases, vectors) = edge::sweep(Fork::Osaka);
        let (tally, findings, _) = run::compare(&all, &cases);
        println!("{vectors} vectors {tally:?} {:?}", start.elapsed());
        for f in findings.iter().take(3) {
            println!("{} {:?}", f.case.name, f.differences.first());
        }
    }
    let generator = Generator::new(seed, &Fork::ALL);
    let warm: Vec<_> = (0..2000).map(|i| Generator::new(99, &[Fork::Cancun]).case(i)).collect();
    let _ = run::compare(&all, &warm);
    let mut coverage = Coverage::default();
    let mut total = run::Tally::default();
    let (mut tg, mut tc) = (0.0, 0.0);
    let mut steps = 0;
    let mut shown = 0;
    for chunk in 0..n.div_ceil(1000) {
        let start = std::time::Instant::now();
        let cases: Vec<_> = (chunk * 1000..(chunk + 1) * 1000).into_par_iter().map(|i| generator.case(i)).collect();
        tg += start.elapsed().as_secs_f64();
        let start = std::time::Instant::now();
        let (tally, findings, results) = run::compare(&all, &cases);
        tc += start.elapsed().as_secs_f64();
        total.add(tally);
        steps += results.iter().flatten().map(|o| o.steps).sum::<u64>();
        if std::env::var("COV").is_ok() {
            for case in &cases {
                coverage.run(case);
            }
        }
        for f in findings {
            shown += 1;
            if shown < 30 {
                println!(
                    "{} {} tx {}: {}",
                    f.case.name,
                    f.case.rules.fork,
                    f.transaction,
                    f.differences.iter().take(3).map(|d| d.to_string()).collect::<Vec<_>>().join("; ")
                );
            }
        }
    }
    println!("{total:?}\ngenerate {tg} compare {tc} steps {steps}");
    println!("{:?}", coverage.ends());
    for (fork, list) in coverage.missing() {
        println!("{fork}: {}", list.join(" "));
    }
}

#[test]
fn slow() {
    let generator = Generator::new(1, &Fork::ALL);
    let all = backends::found();
    let mut times = Vec::new();
    let mut sums = [0.0; 2];
    for i in 0..3000 {
        let case = generator.case(i);
        let mut t = [0.0; 2];
        for (k, b) in all.iter().enumerate() {
            let batch = isolane::diff::case::batch(std::slice::from_ref(&case));
            let start = std::time::Instant::now();
            let r = b.backend.execute(&batch);
            t[k] = start.elapsed().as_secs_f64() * 1e6;
            sums[k] += t[k];
            if k == 1 {
                times.push((t[0], t[1], i, r.iter().flatten().map(|o| o.gas_used).sum::<u64>(), case.rules.fork));
            }
        }
    }
    println!("{sums:?}");
    times.sort_by(|a, b| (b.0 + b.1).total_cmp(&(a.0 + a.1)));
    for t in times.iter().take(25) {
        println!("{t:?}");
    }
    println!("median {:?}", times[1500]);
    println!("90% {:?}", times[300]);
}

#[test]
fn one() {
    let generator = Generator::new(1, &Fork::ALL);
    for i in [2942u64, 1517, 1398, 1148, 912, 1605] {
        let case = generator.case(i);
        for n in 1..=case.transactions.len() {
            let t = isolane::diff::trace::reference(&case.environment(), &case.transactions[..n]);
            let mut by = std::collections::BTreeMap::<&str, u32>::new();
            for s in &t.steps {
                *by.entry(isolane::spec::opcode::BY_BYTE[s.opcode as usize].map_or("?", |r| r.name)).or_default() += 1;
            }
            println!(
                "{i} tx{n} steps {} max mem {:?} depth {:?} codes {:?} {by:?}",
                t.steps.len(),
                t.steps.iter().map(|s| s.memory).max(),
                t.steps.iter().map(|s| s.depth).max(),
                case.state.codes.values().map(|c| c.len()).collect::<Vec<_>>()
            );
            let env = case.environment();
            let mut m = isolane::cpu::Machine::new(env.clone());
            for round in 0..3 {
                m.reset(env.clone());
                let start = std::time::Instant::now();
                for tx in &case.transactions[..n] {
                    let _ = m.transact(tx, isolane::cpu::Available::of(&env));
                }
                println!("   round {round} {:?}", start.elapsed());
            }
        }
    }
}
