//! Charts of a replay.

use super::{ReplayReport, Sum, Timed};
use crate::report::run::chart::{
    Area, DUE, DrawError, Drawn, FAINT, INK, LEFT, RIGHT, RULE, WIDTH, along, bar, colour, draw, figure, grid, label,
    steps,
};
use crate::tables::journal::Gas;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

/// Bars of a chart over time, at most.
const BARS: usize = 120;
/// Rows of a chart of gas.
pub(super) const ROWS: usize = 24;
/// The stages of a block.
pub(super) const STAGES: [&str; 4] = ["load", "recover senders", "execute", "verify"];

/// Values over time, in bars of equal length.
fn over_time(wall: f64, unit: &str, values: &[f64]) -> Drawn {
    const TOP: i32 = 14;
    const BOTTOM: i32 = 230;
    const START: i32 = 104;
    let (end, marks) = steps(values.iter().copied().fold(0.0, f64::max));
    #[expect(clippy::cast_possible_truncation, reason = "pixels")]
    let y = |value: f64| BOTTOM - (f64::from(BOTTOM - TOP) * value / end).round() as i32;
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "pixels")]
    let x = |index: usize| START + (f64::from(WIDTH - START - 20) * index as f64 / values.len().max(1) as f64) as i32;
    let gap = if values.len() > 60 { 1 } else { 2 };
    draw(BOTTOM + 44, |area| {
        for mark in &marks {
            area.draw(&PathElement::new(vec![(START, y(*mark)), (WIDTH - 20, y(*mark))], RULE))?;
            label(area, &figure(*mark), (START - 10, y(*mark)), HPos::Right, FAINT)?;
        }
        label(area, unit, (4, TOP + 1), HPos::Left, FAINT)?;
        for (index, value) in values.iter().enumerate() {
            if *value > 0.0 {
                bar(area, (x(index), y(*value)), (x(index + 1) - gap, BOTTOM), colour(0))?;
            }
        }
        let (_, times) = steps(wall);
        for time in times.into_iter().filter(|time| *time <= wall) {
            #[expect(clippy::cast_possible_truncation, reason = "pixels")]
            let place = START + (f64::from(WIDTH - START - 20) * time / wall.max(1e-9)) as i32;
            label(area, &figure(time), (place, BOTTOM + 14), HPos::Center, FAINT)?;
        }
        label(area, "seconds", ((START + WIDTH - 20) / 2, BOTTOM + 34), HPos::Center, FAINT)
    })
}

/// What blocks bring, spread over the time in which they were at work, as values a second.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bars for people"
)]
pub(super) fn spread(timed: &[Timed], wall: f64, of: impl Fn(&Timed) -> f64) -> Vec<f64> {
    let bars = timed.len().clamp(1, BARS);
    let length = wall / bars as f64;
    let mut values = vec![0.0; bars];
    for block in timed {
        let (from, to) = ((block.at - block.busy).max(0.0), block.at.max(1e-9));
        let whole = (to - from).max(1e-9);
        let (first, last) = ((from / length) as usize, (to / length) as usize);
        for index in first..=last.min(bars - 1) {
            let start = index as f64 * length;
            let part = (to.min(start + length) - from.max(start)).max(0.0) / whole;
            if let Some(value) = values.get_mut(index) {
                *value += of(block) * part / length;
            }
        }
    }
    values
}

/// Gas over time.
#[expect(clippy::cast_precision_loss, reason = "gas for people")]
pub(super) fn throughput(report: &ReplayReport) -> Option<Drawn> {
    if report.timed.is_empty() || report.wall <= 0.0 {
        return None;
    }
    Some(over_time(report.wall, "Mgas/s", &spread(&report.timed, report.wall, |block| block.gas as f64 / 1e6)))
}

/// Blocks at work over time.
pub(super) fn parallelism(report: &ReplayReport) -> Option<Drawn> {
    if report.timed.is_empty() || report.wall <= 0.0 {
        return None;
    }
    Some(over_time(report.wall, "blocks", &spread(&report.timed, report.wall, |block| block.busy)))
}

/// Where the time of the threads went.
pub(super) fn stages(total: &Sum) -> Option<Drawn> {
    let all: f64 = total.seconds.iter().sum();
    if all <= 0.0 {
        return None;
    }
    Some(draw(34 * 4 + 40, |area| {
        let bottom = 14 + 34 * 4;
        grid(area, &[0.0, 0.25, 0.5, 0.75, 1.0], 1.0, bottom, |mark| format!("{:.0}%", mark * 100.0))?;
        for (row, (name, seconds)) in (0i32..).zip(STAGES.into_iter().zip(total.seconds)) {
            let top = 16 + 34 * row;
            label(area, name, (LEFT - 12, top + 10), HPos::Right, INK)?;
            bar(area, (LEFT, top), (along(seconds / all), top + 20), colour(row.unsigned_abs() as usize))?;
            let text = format!("{:.1}%, {} s", 100.0 * seconds / all, figure(seconds));
            label(area, &text, (RIGHT + 14, top + 10), HPos::Left, INK)?;
        }
        Ok(())
    }))
}

/// The largest of a list, each with its share of all.
#[expect(clippy::cast_precision_loss, reason = "gas for people")]
pub(super) fn largest(list: &[(String, Gas)], others: Gas) -> Option<Drawn> {
    let all: f64 = list.iter().map(|(_, gas)| gas.gas as f64).sum::<f64>() + others.gas as f64;
    let shown = list.get(..ROWS).unwrap_or(list);
    let most = shown.first().map(|(_, gas)| gas.gas as f64 / 1e6)?;
    let (end, marks) = steps(most);
    let bottom = (0i32..).zip(shown).last().map_or(14, |(row, _)| 14 + 24 * (row + 1));
    let row_of = |area: &Area<'_>, row: i32, name: &str, gas: Gas| -> Result<(), DrawError> {
        let top = 14 + 24 * row;
        let mgas = gas.gas as f64 / 1e6;
        label(area, name, (LEFT - 12, top + 8), HPos::Right, INK)?;
        bar(area, (LEFT, top), (along(mgas / end), top + 16), colour(0))?;
        let text = format!("{:.1}%, {} times", 100.0 * gas.gas as f64 / all.max(1.0), gas.count);
        label(area, &text, (RIGHT + 14, top + 8), HPos::Left, INK)
    };
    Some(draw(bottom + 44, |area| {
        grid(area, &marks, end, bottom, figure)?;
        for (row, (name, gas)) in (0i32..).zip(shown) {
            row_of(area, row, &short_name(name), *gas)?;
        }
        label(area, "Mgas", ((LEFT + RIGHT) / 2, bottom + 32), HPos::Center, FAINT)
    }))
}

/// A contract's name as its first and last digits; any other as it is.
fn short_name(name: &str) -> String {
    let address = name.rsplit(':').next().unwrap_or(name);
    match (address.get(..8), address.get(address.len().saturating_sub(6)..)) {
        (Some(first), Some(last)) if address.len() == 42 => format!("{first}…{last}"),
        _ => name.to_owned(),
    }
}

/// Where the transactions of all runs ran, one bar.
#[expect(clippy::cast_precision_loss, reason = "shares for people")]
pub(super) fn lanes(report: &ReplayReport) -> Option<Drawn> {
    let lanes = report.runs.iter().filter_map(|run| run.lanes.as_ref());
    let [device, host, fallback] =
        lanes.fold([0u64; 3], |sum, lanes| [sum[0] + lanes.device, sum[1] + lanes.host, sum[2] + lanes.fallback]);
    let all = device + host + fallback;
    if all == 0 {
        return None;
    }
    let parts = [("lanes of the device", device), ("the host: no code to run", host), ("the CPU", fallback)];
    Some(draw(34 * 3 + 40, |area| {
        grid(area, &[0.0, 0.25, 0.5, 0.75, 1.0], 1.0, 14 + 34 * 3, |mark| format!("{:.0}%", mark * 100.0))?;
        for (row, (name, count)) in (0i32..).zip(parts) {
            let top = 16 + 34 * row;
            let part = count as f64 / all as f64;
            label(area, name, (LEFT - 12, top + 10), HPos::Right, INK)?;
            bar(area, (LEFT, top), (RIGHT, top + 20), RGBColor(0xf0, 0xf3, 0xf6))?;
            bar(area, (LEFT, top), (along(part), top + 20), if row == 2 { DUE } else { colour(0) })?;
            label(area, &format!("{:.1}%, {count}", 100.0 * part), (RIGHT + 14, top + 10), HPos::Left, INK)?;
        }
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spread_over_time_stays_the_same_in_sum() {
        let block = |at, busy| Timed { at, busy, gas: 10, transactions: 0 };
        let timed = [block(1.0, 1.0), block(2.5, 2.0), block(4.0, 0.001)];
        let values = spread(&timed, 4.0, |block| block.gas as f64);
        let sum: f64 = values.iter().sum::<f64>() * 4.0 / values.len() as f64;
        assert!((sum - 30.0).abs() < 1e-6, "{values:?}");
    }

    #[test]
    fn addresses_are_shortened() {
        assert_eq!(short_name("1:0x00000000000000000000000000000000deadbeef"), "0x000000…adbeef");
        assert_eq!(short_name("SLOAD"), "SLOAD");
    }
}
