//! Charts of a run, as SVG for a page.

use super::{EnvironmentSummary, RunReport};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// What went wrong with a chart: nothing that input decides.
pub(in crate::report) type Drawn = Result<String, String>;

/// Colours that can be told apart, also by those who cannot tell red from green.
pub(super) const COLOURS: [RGBColor; 8] = [
    RGBColor(0x2b, 0x6c, 0xb0),
    RGBColor(0xdd, 0x84, 0x1f),
    RGBColor(0x2f, 0x9e, 0x8f),
    RGBColor(0xb8, 0x3a, 0x6f),
    RGBColor(0x7a, 0x5c, 0xc4),
    RGBColor(0x8a, 0x9a, 0x1e),
    RGBColor(0x5f, 0x6b, 0x7a),
    RGBColor(0xa3, 0x54, 0x2c),
];
pub(in crate::report) const INK: RGBColor = RGBColor(0x1f, 0x29, 0x33);
pub(in crate::report) const FAINT: RGBColor = RGBColor(0x6b, 0x77, 0x85);
pub(in crate::report) const RULE: RGBColor = RGBColor(0xe3, 0xe8, 0xee);
pub(in crate::report) const DUE: RGBColor = RGBColor(0xc3, 0xcc, 0xd6);

/// Width of all charts.
pub(in crate::report) const WIDTH: i32 = 880;
/// Where bars begin, to the right of their names.
pub(in crate::report) const LEFT: i32 = 190;
/// Where bars end, to the left of their figures.
pub(in crate::report) const RIGHT: i32 = 700;
/// Environments that a chart shows; more would be no chart any more.
pub(super) const SHOWN: usize = 24;

pub(in crate::report) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The colour of an environment by its index.
pub(in crate::report) const fn colour(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()]
}

pub(in crate::report) fn draw(
    height: i32,
    draw: impl FnOnce(&Area<'_>) -> Result<(), DrawingAreaErrorKind<std::io::Error>>,
) -> Drawn {
    let mut svg = String::new();
    {
        let size = (WIDTH.unsigned_abs(), height.max(1).unsigned_abs());
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        draw(&area).and_then(|()| area.present()).map_err(|error| error.to_string())?;
    }
    // It scales with the page, and a page may hold several.
    let fixed = format!("width=\"{WIDTH}\" height=\"{height}\" ");
    Ok(svg.replacen(&fixed, "", 1))
}

pub(in crate::report) fn label(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    align: HPos,
    colour: RGBColor,
) -> Result<(), DrawError> {
    let style = ("sans-serif", 14).into_font().color(&colour).pos(Pos::new(align, VPos::Center));
    area.draw(&Text::new(text.to_owned(), at, style))
}

pub(in crate::report) type DrawError = DrawingAreaErrorKind<std::io::Error>;

pub(in crate::report) fn bar(
    area: &Area<'_>,
    from: (i32, i32),
    to: (i32, i32),
    colour: RGBColor,
) -> Result<(), DrawError> {
    area.draw(&Rectangle::new([from, (to.0.max(from.0 + 1), to.1)], colour.filled()))
}

/// Where a part of the whole ends.
#[expect(clippy::cast_possible_truncation, reason = "pixels")]
pub(in crate::report) fn along(part: f64) -> i32 {
    LEFT + (f64::from(RIGHT - LEFT) * part.clamp(0.0, 1.0)).round() as i32
}

/// A name that fits the space to the left of the bars.
pub(in crate::report) fn short(name: &str) -> String {
    const KEPT: usize = 22;
    match name.char_indices().nth(KEPT) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

/// Steps for an axis that ends at least at `largest`.
pub(in crate::report) fn steps(largest: f64) -> (f64, Vec<f64>) {
    let magnitude = 10f64.powf(largest.max(1e-9).log10().floor());
    let step = [0.2, 0.5, 1.0, 2.0].into_iter().map(|s| s * magnitude).find(|s| largest / s <= 6.0);
    let step = step.unwrap_or(magnitude * 2.0);
    let count = (largest / step).ceil().max(1.0);
    let marks = std::iter::successors(Some(0.0), |mark| Some(mark + 1.0)).take_while(|mark| *mark <= count);
    (count * step, marks.map(|mark| mark * step).collect())
}

pub(in crate::report) fn grid(
    area: &Area<'_>,
    marks: &[f64],
    end: f64,
    bottom: i32,
    show: impl Fn(f64) -> String,
) -> Result<(), DrawError> {
    for mark in marks {
        let x = along(mark / end);
        area.draw(&PathElement::new(vec![(x, 8), (x, bottom)], RULE))?;
        label(area, &show(*mark), (x, bottom + 14), HPos::Center, FAINT)?;
    }
    Ok(())
}

/// A figure without digits that say nothing.
pub(in crate::report) fn figure(value: f64) -> String {
    let text = if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    text.to_owned()
}

/// What each environment got while several were kept waiting, beside what its weight entitled it to. `None` where there
/// never was contention.
#[expect(clippy::cast_precision_loss, reason = "shares for people")]
pub(super) fn shares(report: &RunReport) -> Option<Drawn> {
    let shown: Vec<(usize, &EnvironmentSummary)> =
        report.environments.iter().enumerate().filter(|(_, e)| e.stats.due > 0).take(SHOWN).collect();
    let got: f64 = report.environments.iter().map(|e| e.stats.contested as f64).sum();
    let due: f64 = report.environments.iter().map(|e| e.stats.due as f64).sum();
    if shown.is_empty() || got == 0.0 {
        return None;
    }
    let part = |e: &EnvironmentSummary| (100.0 * e.stats.contested as f64 / got, 100.0 * e.stats.due as f64 / due);
    let largest = shown.iter().map(|(_, e)| part(e).0.max(part(e).1)).fold(0.0, f64::max);
    let (end, marks) = steps(largest);
    let bottom = 14 + 46 * shown.len() as i32;
    Some(draw(bottom + 30, |area| {
        grid(area, &marks, end, bottom, |mark| format!("{}%", figure(mark)))?;
        for (row, (index, environment)) in shown.iter().enumerate() {
            let top = 16 + 46 * row as i32;
            let (got, due) = part(environment);
            label(area, &short(&environment.name), (LEFT - 12, top + 11), HPos::Right, INK)?;
            let weight = format!("weight {}", environment.weight);
            label(area, &weight, (LEFT - 12, top + 28), HPos::Right, FAINT)?;
            bar(area, (LEFT, top), (along(got / end), top + 18), colour(*index))?;
            bar(area, (LEFT, top + 21), (along(due / end), top + 31), DUE)?;
            let text = format!("{got:.1}% of {due:.1}% due");
            label(area, &text, (RIGHT + 14, top + 14), HPos::Left, INK)?;
        }
        Ok(())
    }))
}

/// How long transactions waited: the mean, what 95% stayed below, and the longest.
#[expect(clippy::cast_precision_loss, reason = "rounds for people")]
pub(super) fn waiting(report: &RunReport) -> Option<Drawn> {
    let shown: Vec<(usize, &EnvironmentSummary)> =
        report.environments.iter().enumerate().filter(|(_, e)| e.stats.waiting.count > 0).take(SHOWN).collect();
    let largest = shown.iter().map(|(_, e)| e.stats.waiting.longest).max()?;
    let (end, marks) = steps(largest as f64);
    let bottom = 14 + 40 * shown.len() as i32;
    Some(draw(bottom + 30, |area| {
        grid(area, &marks, end, bottom, figure)?;
        for (row, (index, environment)) in shown.iter().enumerate() {
            let top = 18 + 40 * row as i32;
            let waiting = &environment.stats.waiting;
            let (mean, most, longest) = (waiting.mean(), waiting.within(95), waiting.longest);
            label(area, &short(&environment.name), (LEFT - 12, top + 10), HPos::Right, INK)?;
            bar(area, (LEFT, top + 6), (along(longest as f64 / end), top + 14), DUE)?;
            bar(area, (LEFT, top), (along(mean / end), top + 20), colour(*index))?;
            let mark = along(most as f64 / end);
            area.draw(&PathElement::new(vec![(mark, top - 3), (mark, top + 23)], INK.stroke_width(2)))?;
            let text = format!("{} · {most} · {longest}", figure(mean));
            label(area, &text, (RIGHT + 14, top + 10), HPos::Left, INK)?;
        }
        Ok(())
    }))
}

/// Messages by source (rows) and destination (columns): the darker, the more.
#[expect(clippy::cast_precision_loss, reason = "shades for people")]
pub(super) fn flows(report: &RunReport) -> Option<Drawn> {
    let all = |source: &str, to: &str| {
        let flow = report.flows.0.get(source).and_then(|row| row.get(to))?;
        let failed: u64 = flow.failed.values().sum();
        let arrived = flow.delivered + flow.state + flow.refunds;
        (arrived + failed + flow.claimable > 0 || flow.sent > 0).then_some((
            arrived,
            failed + flow.claimable,
            flow.sent,
        ))
    };
    let takes_part =
        |name: &str| report.flows.0.contains_key(name) || report.flows.0.values().any(|row| row.contains_key(name));
    let names: Vec<&str> =
        report.environments.iter().map(|e| e.name.as_str()).filter(|name| takes_part(name)).take(12).collect();
    let most = names.iter().flat_map(|a| names.iter().filter_map(|b| all(a, b))).map(|(ok, bad, _)| ok + bad).max()?;
    let cell = ((WIDTH - LEFT - 30) / names.len().max(1) as i32).min(170);
    let height = 54;
    let bottom = 40 + height * names.len() as i32;
    Some(draw(bottom + 16, |area| {
        for (column, name) in names.iter().enumerate() {
            let x = LEFT + cell * column as i32 + cell / 2;
            label(area, &format!("→ {}", short(name)), (x, 20), HPos::Center, INK)?;
        }
        for (row, source) in names.iter().enumerate() {
            let y = 40 + height * row as i32;
            label(area, &short(source), (LEFT - 12, y + height / 2 - 2), HPos::Right, INK)?;
            for (column, destination) in names.iter().enumerate() {
                let x = LEFT + cell * column as i32;
                let Some((arrived, failed, _)) = all(source, destination) else {
                    bar(area, (x, y), (x + cell - 4, y + height - 4), RGBColor(0xf4, 0xf6, 0xf9))?;
                    continue;
                };
                let part = ((arrived + failed) as f64 / most.max(1) as f64).sqrt();
                bar(area, (x, y), (x + cell - 4, y + height - 4), shade(part))?;
                let ink = if part > 0.55 { WHITE } else { INK };
                let middle = (x + cell / 2 - 2, y + height / 2 - 2);
                if failed == 0 {
                    label(area, &arrived.to_string(), middle, HPos::Center, ink)?;
                } else {
                    label(area, &arrived.to_string(), (middle.0, middle.1 - 9), HPos::Center, ink)?;
                    label(area, &format!("{failed} failed"), (middle.0, middle.1 + 9), HPos::Center, ink)?;
                }
            }
        }
        Ok(())
    }))
}

/// From nearly white to the first colour.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a colour")]
fn shade(part: f64) -> RGBColor {
    let mix = |to: u8| (f64::from(0xe6) + (f64::from(to) - f64::from(0xe6)) * part.clamp(0.0, 1.0)).round() as u8;
    RGBColor(mix(COLOURS[0].0), mix(COLOURS[0].1), mix(COLOURS[0].2))
}

/// Gas by epoch, one environment on top of another.
#[expect(clippy::cast_precision_loss, reason = "gas for people")]
pub(super) fn epochs(report: &RunReport) -> Option<Drawn> {
    const TOP: i32 = 14;
    const BOTTOM: i32 = 250;
    const START: i32 = 90;
    // Many epochs are put together, so that each bar is a few pixels wide.
    let count = report.epochs.max(1);
    let bucket = count.div_ceil(120).max(1);
    let bars = count.div_ceil(bucket);
    let gas = |e: &EnvironmentSummary, bar: u64| -> f64 {
        let epochs = e.stats.epochs.iter().skip((bar * bucket) as usize).take(bucket as usize);
        epochs.map(|epoch| epoch.usage.gas as f64 / 1e6).sum::<f64>() / bucket as f64
    };
    let total = |bar: u64| report.environments.iter().map(|e| gas(e, bar)).sum::<f64>();
    let largest = (0..bars).map(total).fold(0.0, f64::max);
    if largest == 0.0 || count < 2 {
        return None;
    }
    let (end, marks) = steps(largest);
    let y = |value: f64| BOTTOM - (f64::from(BOTTOM - TOP) * value / end).round() as i32;
    let x = |bar: u64| START + ((WIDTH - START - 20) as i64 * bar as i64 / bars as i64) as i32;
    Some(draw(BOTTOM + 44, |area| {
        for mark in &marks {
            area.draw(&PathElement::new(vec![(START, y(*mark)), (WIDTH - 20, y(*mark))], RULE))?;
            label(area, &figure(*mark), (START - 10, y(*mark)), HPos::Right, FAINT)?;
        }
        label(area, "Mgas", (18, TOP + 4), HPos::Left, FAINT)?;
        for bar_index in 0..bars {
            let mut base = 0.0;
            let gap = if bars > 60 { 1 } else { 3 };
            for (index, environment) in report.environments.iter().enumerate() {
                let value = gas(environment, bar_index);
                if value > 0.0 {
                    let (from, to) = (y(base), y(base + value));
                    bar(area, (x(bar_index), to), (x(bar_index + 1) - gap, from), colour(index))?;
                    base += value;
                }
            }
            let every = bars.div_ceil(12);
            if bar_index % every == 0 {
                let middle = (x(bar_index) + x(bar_index + 1) - gap) / 2;
                label(area, &(bar_index * bucket).to_string(), (middle, BOTTOM + 14), HPos::Center, FAINT)?;
            }
        }
        label(area, "epoch", ((START + WIDTH - 20) / 2, BOTTOM + 34), HPos::Center, FAINT)
    }))
}

/// The most that an epoch used of each budget.
#[expect(clippy::cast_precision_loss, reason = "parts for people")]
pub(super) fn budgets(report: &RunReport) -> Option<Drawn> {
    let of = |e: &EnvironmentSummary| {
        let (budget, peak) = (&e.epoch_budget, &e.stats.peak);
        [
            ("gas", peak.gas, budget.gas),
            ("steps", peak.steps, budget.steps),
            ("slots", peak.slots, budget.slots),
            ("log bytes", peak.log_bytes, budget.log_bytes),
        ]
        .into_iter()
        .filter(|(_, _, budget)| *budget != u64::MAX)
        .map(|(name, used, budget)| (name, used as f64 / budget as f64))
        .collect::<Vec<_>>()
    };
    let rows: Vec<(usize, String, &str, f64)> = report
        .environments
        .iter()
        .enumerate()
        .flat_map(|(index, e)| of(e).into_iter().map(move |(name, part)| (index, short(&e.name), name, part)))
        .take(2 * SHOWN)
        .collect();
    if rows.is_empty() {
        return None;
    }
    let bottom = 12 + 24 * rows.len() as i32;
    Some(draw(bottom + 28, |area| {
        grid(area, &[0.0, 0.25, 0.5, 0.75, 1.0], 1.0, bottom, |mark| format!("{:.0}%", mark * 100.0))?;
        let mut last = usize::MAX;
        for (row, (index, name, budget, part)) in rows.iter().enumerate() {
            let top = 14 + 24 * row as i32;
            if last != *index {
                label(area, name, (14, top + 8), HPos::Left, INK)?;
                last = *index;
            }
            label(area, budget, (LEFT - 12, top + 8), HPos::Right, FAINT)?;
            bar(area, (LEFT, top), (RIGHT, top + 16), RGBColor(0xf0, 0xf3, 0xf6))?;
            bar(area, (LEFT, top), (along(*part), top + 16), colour(*index))?;
            label(area, &format!("{:.1}%", part * 100.0), (RIGHT + 14, top + 8), HPos::Left, INK)?;
        }
        Ok(())
    }))
}
