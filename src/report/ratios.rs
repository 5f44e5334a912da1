//! A chart of ratios: how many times faster than a peer, by workload.

use super::run::chart::{
    Area, DrawError, FAINT, INK, LEFT, RIGHT, along, bar, colour, draw, figure, grid, label, short, steps,
};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

const BAR: i32 = 12;
const GAP: i32 = 10;
const LEGEND: i32 = 24;

/// One workload.
#[derive(Clone, Debug)]
pub struct Ratios {
    /// Its name.
    pub name: String,
    /// A ratio of each series; `None` where it was not measured.
    pub values: Vec<Option<f64>>,
}

/// Bars of each workload, one a series, against a line at 1, where both take the same time. The result is SVG.
///
/// # Errors
/// When it cannot be drawn: no input leads to that.
pub fn ratios(series: &[&str], rows: &[Ratios]) -> Result<String, String> {
    let height = |row: &Ratios| GAP + BAR * row.values.len().try_into().unwrap_or(0);
    let bottom = LEGEND + rows.iter().map(height).sum::<i32>() + GAP;
    let most = rows.iter().flat_map(|row| &row.values).flatten().copied().fold(1.0, f64::max);
    let (end, marks) = steps(most);
    draw(bottom + 44, |area| {
        legend(area, series)?;
        grid(area, &marks, end, bottom, figure)?;
        let mut top = LEGEND + GAP;
        for row in rows {
            let bars = height(row) - GAP;
            label(area, &short(&row.name), (LEFT - 12, top + bars / 2), HPos::Right, INK)?;
            for (index, value) in row.values.iter().enumerate() {
                let at = top + BAR * index.try_into().unwrap_or(0);
                if let Some(value) = value {
                    bar(area, (LEFT, at), (along(value / end), at + BAR - 2), colour(index))?;
                    let text = ("sans-serif", 11).into_font().color(&INK);
                    area.draw(&Text::new(format!("{value:.2}"), (along(value / end) + 6, at), text))?;
                }
            }
            top += bars + GAP;
        }
        let one = along(1.0 / end);
        area.draw(&PathElement::new(vec![(one, LEGEND), (one, bottom)], INK))?;
        let below = "times as fast as revm; the line is revm";
        label(area, below, ((LEFT + RIGHT) / 2, bottom + 32), HPos::Center, FAINT)
    })
}

fn legend(area: &Area<'_>, series: &[&str]) -> Result<(), DrawError> {
    for (index, name) in series.iter().enumerate() {
        let x = LEFT + 220 * i32::try_from(index).unwrap_or(0);
        bar(area, (x, 6), (x + 14, 18), colour(index))?;
        label(area, name, (x + 22, 12), HPos::Left, INK)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ratio_has_a_bar_and_its_figure() {
        let rows = [
            Ratios { name: "transfer".into(), values: vec![Some(1.42), Some(2.5)] },
            Ratios { name: "swap".into(), values: vec![Some(0.9), None] },
        ];
        let svg = ratios(&["reference", "lockstep"], &rows).expect("drawn");
        for text in ["transfer", "swap", "1.42", "2.50", "0.90", "reference", "lockstep"] {
            assert!(svg.contains(text), "{text} is missing");
        }
        // Two of the legend, three of the values.
        assert_eq!(svg.matches("<rect").count(), 5, "{svg}");
    }
}
