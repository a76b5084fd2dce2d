//! The plots of docs/performance.md, as SVG.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::results::Results;

struct Plot {
    question: &'static str,
    title: &'static str,
    x: &'static str,
    y: &'static str,
    is_logarithmic: bool,
}

const PLOTS: [Plot; 4] = [
    Plot { question: "threads", title: "Threads", x: "threads", y: "spans per second", is_logarithmic: false },
    Plot { question: "depth", title: "Nested spans", x: "depth", y: "ns per span", is_logarithmic: true },
    Plot { question: "tags", title: "Tags of a span", x: "tags", y: "ns per span", is_logarithmic: false },
    Plot {
        question: "tasks",
        title: "Live tasks",
        x: "tasks with an open span",
        y: "ns per span",
        is_logarithmic: true,
    },
];

/// Draws all plots that there are results for.
pub(crate) fn draw(results: &Results, folder: &str) {
    for plot in &PLOTS {
        let path = Path::new(folder).join(format!("{}.svg", plot.question));
        if !results.rows(plot.question).is_empty() {
            line_chart(results, plot, &path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}

type Series<'a> = (&'a str, Vec<(f64, f64)>);

fn line_chart(results: &Results, plot: &Plot, path: &Path) -> Result<(), Box<dyn Error>> {
    let columns: Vec<Series<'_>> = results
        .columns(plot.question)
        .into_iter()
        .map(|column| {
            let points = results
                .rows(plot.question)
                .into_iter()
                .filter_map(|row| Some((row.parse::<f64>().ok()?, results.get(plot.question, row, column)?)));
            (column, points.collect())
        })
        .collect();
    let all = || columns.iter().flat_map(|(_, points)| points);
    let x = all().map(|point| point.0).fold(f64::MAX, f64::min)..all().map(|point| point.0).fold(0.0, f64::max);
    let y = 0.0..all().map(|point| point.1).fold(0.0, f64::max) * 1.1;

    let area = SVGBackend::new(path, (760, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area);
    chart.caption(plot.title, ("sans-serif", 18)).margin(12).x_label_area_size(42).y_label_area_size(64);
    // Two types of coordinates, and the same drawing.
    macro_rules! draw {
        ($x:expr) => {{
            let mut chart = chart.build_cartesian_2d($x, y)?;
            chart
                .configure_mesh()
                .x_desc(plot.x)
                .y_desc(plot.y)
                .x_label_formatter(&|x| format!("{x}"))
                .y_label_formatter(&|y| format!("{y}"))
                .draw()?;
            for (at, (column, points)) in columns.iter().enumerate() {
                let colour = Palette99::pick(at).to_rgba();
                chart
                    .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3))?
                    .label(*column)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
            }
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE.mix(0.8))
                .border_style(BLACK)
                .draw()?;
        }};
    }
    if plot.is_logarithmic {
        draw!(x.log_scale());
    } else {
        draw!(x);
    }
    area.present()?;
    Ok(())
}
