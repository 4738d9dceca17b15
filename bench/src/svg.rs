//! Plots by hand: no library is needed for bars and lines. Their words take the colour of the page that they stand on.

use std::fmt::Write as _;

/// One bar: what it is, and how long.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) micros: f64,
}

/// Two lines over the same numbers of connections.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) ours: (String, Vec<(usize, f64)>),
    pub(crate) theirs: (String, Vec<(usize, f64)>),
}

const WIDTH: f64 = 720.0;
const ROW: f64 = 24.0;
/// Where bars begin.
const BARS_FROM: f64 = 190.0;
/// What is left of the width for the longest.
const BARS_MAX: f64 = WIDTH - BARS_FROM - 90.0;
const PANEL: f64 = 250.0;

/// Dark words on a light page, light ones on a dark; colours that differ in lightness too.
const STYLE: &str = "<style>\
    text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600}.quiet{fill:#59636e}\
    .grid{stroke:#d1d9e0}.ours{fill:#0969da;stroke:#0969da}.theirs{fill:#bc4c00;stroke:#bc4c00}\
    path{fill:none!important;stroke-width:2}.bar{stroke:none}\
    @media(prefers-color-scheme:dark){text{fill:#f0f6fc}.quiet{fill:#9198a1}.grid{stroke:#3d444d}\
    .ours{fill:#4493f8;stroke:#4493f8}.theirs{fill:#f0883e;stroke:#f0883e}}\
    </style>";

/// Horizontal bars in the order given, with a title above and one line of words below.
pub(crate) fn bars(title: &str, bars: &[Bar], below: &str) -> String {
    let most = bars.iter().map(|bar| bar.micros).fold(f64::MIN_POSITIVE, f64::max);
    let mut inside = words(0.0, 16.0, "title", title);
    for (bar, y) in bars.iter().zip((0..).map(|n| 32.0 + ROW * f64::from(n))) {
        let long = bar.micros / most * BARS_MAX;
        inside.push_str(&words(0.0, y + 14.0, "", &bar.name));
        let _ = writeln!(
            inside,
            r#"<rect class="bar ours" x="{BARS_FROM}" y="{y}" width="{long:.1}" height="18" rx="2"/>"#
        );
        let value = format!("{:.0} µs", bar.micros);
        inside.push_str(&words(BARS_FROM + long + 8.0, y + 14.0, "quiet", &value));
    }
    let height = 32.0 + ROW * bars.len() as f64 + 24.0;
    inside.push_str(&words(0.0, height - 6.0, "quiet", below));
    whole(height, title, &inside)
}

/// Lines over connections, one panel beside the other; each has its own scale, from zero.
pub(crate) fn lines(title: &str, panels: &[Panel], below: &str) -> String {
    let wide = WIDTH / panels.len().max(1) as f64;
    let mut inside = words(0.0, 16.0, "title", title);
    for (panel, number) in panels.iter().zip(0_u16..) {
        let (from, to) = (wide * f64::from(number) + 52.0, wide * f64::from(number + 1) - 24.0);
        inside.push_str(&drawn(panel, (from, to)));
    }
    let height = PANEL + 62.0;
    inside.push_str(&words(0.0, height - 6.0, "quiet", below));
    whole(height, title, &inside)
}

fn drawn(panel: &Panel, (from, to): (f64, f64)) -> String {
    let (top, bottom) = (72.0, PANEL);
    let values = panel.ours.1.iter().chain(&panel.theirs.1);
    let most = ceiling(values.map(|(_, value)| *value).fold(0.0, f64::max));
    let columns = panel.ours.1.len().max(2) as f64 - 1.0;
    let x = |column: usize| from + (to - from) * column as f64 / columns;
    let y = |value: f64| bottom - (bottom - top) * value / most;
    let mut text = words(from - 52.0, 40.0, "", &panel.title);
    for part in [0.0, 0.5, 1.0] {
        let at = y(most * part);
        let _ = writeln!(text, r#"<line class="grid" x1="{from}" x2="{to}" y1="{at}" y2="{at}"/>"#);
        text.push_str(&anchored((from - 6.0, at + 4.0), "end", "quiet", &short(most * part)));
    }
    for (column, (connections, _)) in panel.ours.1.iter().enumerate() {
        let at = (x(column), bottom + 18.0);
        text.push_str(&anchored(at, "middle", "quiet", &connections.to_string()));
    }
    for ((name, points), (class, shift)) in
        [(&panel.ours, ("ours", 0.0)), (&panel.theirs, ("theirs", 120.0))]
    {
        let mut path = String::new();
        for (column, (_, value)) in points.iter().enumerate() {
            let (x, y) = (x(column), y(*value));
            let step = if column == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{step}{x:.1} {y:.1}");
            let _ = writeln!(text, r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="3"/>"#);
        }
        let _ = writeln!(text, r#"<path class="{class}" d="{path}"/>"#);
        let _ = writeln!(
            text,
            r#"<rect class="bar {class}" x="{}" y="50" width="10" height="10" rx="2"/>"#,
            from + shift
        );
        text.push_str(&words(from + shift + 15.0, 60.0, "quiet", name));
    }
    text
}

/// The next number that begins with 1, 2 or 5 and has only zeros behind.
fn ceiling(value: f64) -> f64 {
    let mut unit = 1.0;
    while unit * 10.0 < value {
        unit *= 10.0;
    }
    [1.0, 2.0, 5.0, 10.0].map(|n| n * unit).into_iter().find(|n| *n >= value).unwrap_or(value)
}

fn short(value: f64) -> String {
    if value >= 10_000.0 { format!("{:.0}k", value / 1000.0) } else { format!("{value:.0}") }
}

fn words(x: f64, y: f64, class: &str, text: &str) -> String {
    anchored((x, y), "start", class, text)
}

fn anchored((x, y): (f64, f64), anchor: &str, class: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{text}</text>\n"
    )
}

fn whole(height: f64, title: &str, inside: &str) -> String {
    let title = title.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\">\n{STYLE}\n{inside}</svg>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_has_the_whole_width_and_the_others_their_share() {
        let bar = |name: &str, micros| Bar { name: name.into(), micros };
        let drawn = bars("t", &[bar("a <b>", 50.0), bar("c", 200.0)], "");
        assert!(drawn.contains(&format!("width=\"{BARS_MAX:.1}\"")), "{drawn}");
        assert!(drawn.contains(&format!("width=\"{:.1}\"", BARS_MAX / 4.0)), "{drawn}");
        assert!(drawn.contains(">a &lt;b>"), "{drawn}");
    }

    #[test]
    fn a_scale_ends_above_what_it_shows() {
        let cases = [(0.0, 1.0), (1.0, 1.0), (3.0, 5.0), (19.0, 20.0), (600.0, 1000.0)];
        for (value, expect) in cases {
            assert_eq!(ceiling(value), expect, "{value}");
        }
    }

    #[test]
    fn each_line_has_a_point_for_each_number_of_connections() {
        let line = |name: &str| (name.to_owned(), vec![(1, 10.0), (16, 90.0), (64, 100.0)]);
        let panel = Panel { title: "p".into(), ours: line("o"), theirs: line("t") };
        let drawn = lines("t", &[panel.clone(), panel], "");
        assert_eq!(drawn.matches("<circle").count(), 12);
        assert_eq!(drawn.matches("<path").count(), 4);
    }
}
