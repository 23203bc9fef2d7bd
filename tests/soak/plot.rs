//! Plots as SVG, plain enough to be read in a diff.

use std::fmt::Write as _;

const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#222}.quiet{fill:#666}.title{font-size:15px;font-weight:600}\
                     .axis{stroke:#999;stroke-width:1}.line{fill:none;stroke-width:1.5}\
                     @media(prefers-color-scheme:dark){text{fill:#eee}.quiet{fill:#aaa}}";
const COLORS: [&str; 4] = ["#0b6e4f", "#4a78b5", "#b5486a", "#c9912f"];

/// A line: its name, and its points.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Lines over the minutes of a run, from 0 upwards. A dashed line stands at `mark`.
pub(crate) fn lines(title: &str, lines: &[Line], mark: Option<(f64, &str)>) -> String {
    let (width, height, left, top) = (720.0, 200.0, 50.0, 60.0);
    let points = || lines.iter().flat_map(|line| line.points.iter());
    let across = points().map(|point| point.0).fold(1e-9, f64::max);
    let step = step(points().map(|point| point.1).fold(1.0, f64::max) / 4.0);
    let up = step * (points().map(|point| point.1).fold(1.0, f64::max) / step).ceil();
    let x = |value: f64| left + value / across * width;
    let y = |value: f64| top + height - value / up * height;
    let mut svg = text(12.0, 24.0, "title", "start", title);
    let mut value = 0.0;
    while value <= up {
        write!(svg, r##"<path class="axis" opacity=".4" d="M{left} {:.1}h{width}"/>"##, y(value)).expect("text");
        svg += &text(left - 6.0, y(value) + 4.0, "quiet", "end", &format!("{value}"));
        value += step;
    }
    for tenth in 0..=6 {
        let minute = across * f64::from(tenth) / 6.0;
        svg += &text(x(minute), top + height + 18.0, "quiet", "middle", &format!("{:.1}", minute).replace(".0", ""));
    }
    svg += &text(left + width, top + height + 34.0, "quiet", "end", "minutes");
    if let Some((at, name)) = mark {
        write!(svg, r##"<path class="axis" stroke-dasharray="4 3" d="M{:.1} {top}v{height}"/>"##, x(at)).expect("text");
        svg += &text(x(at) + 4.0, top + height - 6.0, "quiet", "start", name);
    }
    for (number, line) in lines.iter().enumerate() {
        let color = COLORS[number % COLORS.len()];
        let path: Vec<_> = line.points.iter().map(|point| format!("{:.1} {:.1}", x(point.0), y(point.1))).collect();
        write!(svg, r##"<path class="line" stroke="{color}" d="M{}"/>"##, path.join("L")).expect("text");
        let place = left + 170.0 * number as f64;
        write!(svg, r##"<rect x="{place}" y="36" width="11" height="11" fill="{color}"/>"##).expect("text");
        svg += &text(place + 16.0, 46.0, "", "start", &line.name);
    }
    whole(left + width + 20.0, top + height + 44.0, &svg)
}

/// A histogram for each name, one below the other: the share of all in each quarter of a doubling of a microsecond.
pub(crate) fn histograms(title: &str, rows: &[(String, Vec<f64>)]) -> String {
    let (left, top, row, bar) = (150.0, 44.0, 40.0, 6.0);
    let places = rows.iter().map(|(_, shares)| shares.len()).max().unwrap_or(0);
    let first =
        rows.iter().filter_map(|(_, shares)| shares.iter().position(|share| *share > 0.0)).min().unwrap_or(0) / 4 * 4;
    let last =
        rows.iter().filter_map(|(_, shares)| shares.iter().rposition(|share| *share > 0.0)).max().unwrap_or(places);
    let x = |place: usize| left + place.saturating_sub(first) as f64 * bar;
    let mut svg = text(12.0, 24.0, "title", "start", title);
    let bottom = top + row * rows.len() as f64;
    for (micros, name) in
        [(100.0, "0.1 ms"), (1e3, "1 ms"), (1e4, "10 ms"), (1e5, "100 ms"), (1e6, "1 s"), (1e7, "10 s")]
    {
        let at = left + (f64::log2(micros) * 4.0 - first as f64) * bar;
        if at >= left && at <= x(last + 1) {
            write!(svg, r##"<path class="axis" opacity=".4" d="M{at:.1} {top}V{bottom}"/>"##).expect("text");
            svg += &text(at, bottom + 16.0, "quiet", "middle", name);
        }
    }
    for (number, (name, shares)) in rows.iter().enumerate() {
        let base = top + row * (number + 1) as f64;
        svg += &text(left - 8.0, base - 4.0, "", "end", name);
        write!(svg, r##"<path class="axis" d="M{left} {base}H{}"/>"##, x(last + 1)).expect("text");
        let most = shares.iter().copied().fold(1e-9, f64::max);
        for (place, share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            let tall = (share / most * (row - 8.0)).max(1.0);
            let color = COLORS[0];
            write!(
                svg,
                r##"<rect x="{:.1}" y="{:.1}" width="{}" height="{tall:.1}" fill="{color}"/>"##,
                x(place),
                base - tall,
                bar - 1.0
            )
            .expect("text");
        }
    }
    whole(x(last + 1) + 40.0, bottom + 28.0, &svg)
}

/// A round step of about this size: 1, 2 or 5 with zeros.
fn step(about: f64) -> f64 {
    let ten = 10f64.powf(about.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|round| round * ten).find(|step| *step >= about).unwrap_or(about).max(1.0)
}

fn text(x: f64, y: f64, class: &str, anchor: &str, text: &str) -> String {
    format!(r##"<text x="{x:.1}" y="{y:.1}" class="{class}" text-anchor="{anchor}">{text}</text>"##)
}

fn whole(width: f64, height: f64, content: &str) -> String {
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" role="img"><style>{STYLE}</style>{content}</svg>
"##
    )
}
