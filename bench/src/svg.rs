//! A run as a picture: latency by percentile above, throughput and latency over time below. One file, no scripts.

use hdrhistogram::Histogram;

use crate::recorder::{Point, Stream};
use crate::report::{Outcome, time, whole};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 980.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 90.0;
const COLORS: [&str; 2] = ["#1f6fb2", "#c2571a"];

/// A rectangle with axes.
struct Panel {
    top: f64,
    height: f64,
    /// The values at its left and right end.
    x: (f64, f64),
    /// The values at its lower and upper end.
    y: (f64, f64),
}

impl Panel {
    fn x(&self, value: f64) -> f64 {
        let share = (value - self.x.0) / (self.x.1 - self.x.0);
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.y.0) / (self.y.1 - self.y.0);
        self.top + self.height - share.clamp(0.0, 1.0) * self.height
    }

    fn frame(&self, out: &mut String, title: &str) {
        let (width, top) = (WIDTH - LEFT - RIGHT, self.top);
        put(
            out,
            &format!(
                r##"<rect x="{LEFT}" y="{top}" width="{width}" height="{}" fill="none" stroke="#999"/>"##,
                self.height
            ),
        );
        text(
            out,
            (LEFT, top - 10.0),
            "start",
            &format!("<tspan font-weight=\"bold\">{title}</tspan>"),
        );
    }

    fn vertical(&self, out: &mut String, value: f64, label: &str) {
        let (x, bottom) = (self.x(value), self.top + self.height);
        put(out, &format!(r##"<path d="M{x:.1} {}V{bottom}" stroke="#e4e4e4"/>"##, self.top));
        text(out, (x, bottom + 18.0), "middle", label);
    }

    fn horizontal(&self, out: &mut String, value: f64, label: &str) {
        let y = self.y(value);
        put(out, &format!(r##"<path d="M{LEFT} {y:.1}H{}" stroke="#e4e4e4"/>"##, WIDTH - RIGHT));
        text(out, (LEFT - 8.0, y + 4.0), "end", label);
    }

    fn line(&self, out: &mut String, color: &str, points: impl Iterator<Item = (f64, f64)>) {
        let mut path = String::new();
        for (place, (x, y)) in points.enumerate() {
            let verb = if place == 0 { 'M' } else { 'L' };
            put(&mut path, &format!("{verb}{:.1} {:.1}", self.x(x), self.y(y)));
        }
        put(out, &format!(r##"<path d="{path}" fill="none" stroke="{color}" stroke-width="2"/>"##));
    }
}

/// Draws the run.
pub(crate) fn draw(outcome: &Outcome) -> String {
    let mut out = String::new();
    put(
        &mut out,
        &format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="13" fill="#222"><rect width="100%" height="100%" fill="#fff"/>"##
        ),
    );
    let row = outcome.row();
    text(
        &mut out,
        (LEFT, 32.0),
        "start",
        &format!(
            r##"<tspan font-size="18" font-weight="bold">corelog bench {}: {} records/s, {:.1} MB/s</tspan>"##,
            row.kind,
            whole(row.records_per_second),
            row.megabytes_per_second
        ),
    );
    for (place, line) in conditions(outcome).iter().enumerate() {
        text(&mut out, (LEFT, 52.0 + 16.0 * place as f64), "start", &escape(line));
    }
    for (place, line) in row.doubts.iter().take(2).enumerate() {
        let at = (LEFT, 84.0 + 16.0 * place as f64);
        text(
            &mut out,
            at,
            "start",
            &format!(r##"<tspan fill="#b00020">{}</tspan>"##, escape(line)),
        );
    }
    let streams: Vec<&Stream> = outcome.consumed.iter().chain(&outcome.produced).collect();
    percentiles(&mut out, &streams);
    throughput(&mut out, &streams);
    over_time(&mut out, outcome.main());
    out.push_str("</svg>\n");
    out
}

fn conditions(outcome: &Outcome) -> Vec<String> {
    let plan = &outcome.plan;
    let protocol = match plan.protocol {
        client::Dialect::Kafka => "Kafka protocol",
        client::Dialect::Native => "native protocol",
    };
    let mut line = format!("{protocol}; partitions: {}", plan.partitions);
    let mut second = String::new();
    if let Some(produce) = &plan.produce {
        let rate = match produce.rate {
            0 => "full speed".to_owned(),
            rate => format!("{} records/s intended", whole(rate as f64)),
        };
        line += &format!("; producers: {}; {rate}", produce.producers);
        let acks = if produce.acks < 0 { "all".to_owned() } else { produce.acks.to_string() };
        second = format!(
            "records of {} B, batches of {} B; linger {} ms; acks {acks}; compression {}; keys: {}",
            produce.record_bytes,
            produce.batch_bytes,
            produce.linger.as_millis(),
            produce.compression.name(),
            produce.keys,
        );
    }
    if let Some(consume) = &plan.consume {
        line += &format!("; consumers: {}", consume.consumers);
    }
    vec![line, second]
}

/// Latency over the percentile, so that each nine more takes as much room.
fn percentiles(out: &mut String, streams: &[&Stream]) {
    let with_values = || streams.iter().filter(|stream| !stream.latency.is_empty());
    let most = with_values().map(|it| it.latency.len()).max().unwrap_or(1).max(10);
    let nines = (most as f64).log10().ceil().clamp(1.0, 7.0);
    let low = with_values().map(|it| it.latency.min()).min().unwrap_or(1_000).max(1_000);
    let high = with_values().map(|it| it.latency.max()).max().unwrap_or(1_000_000).max(2 * low);
    let decades = ((low as f64).log10().floor(), (high as f64).log10().ceil());
    let panel = Panel { top: 140.0, height: 290.0, x: (0.0, nines), y: decades };
    panel.frame(out, "Latency by percentile (both axes logarithmic)");
    let labels =
        ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %", "99.99999 %"];
    for (nine, label) in labels.iter().enumerate().take(nines as usize + 1) {
        panel.vertical(out, nine as f64, label);
    }
    panel.vertical(out, 2f64.log10(), "50 %");
    let mut decade = decades.0;
    while decade <= decades.1 {
        panel.horizontal(out, decade, &time(10f64.powf(decade) / 1e3));
        decade += 1.0;
    }
    for (place, stream) in with_values().enumerate() {
        let color = COLORS[place % COLORS.len()];
        let steps = (0..=200).map(|step| f64::from(step) / 200.0 * nines);
        let at = |nine: f64| (nine, logarithm(&stream.latency, 1.0 - 10f64.powf(-nine)));
        panel.line(out, color, steps.map(at));
        legend(
            out,
            panel.top + 20.0 + 18.0 * place as f64,
            color,
            &format!(
                "{}: p50 {}, p99 {}, p99.9 {}, max {}",
                stream.name,
                quantile(&stream.latency, 0.5),
                quantile(&stream.latency, 0.99),
                quantile(&stream.latency, 0.999),
                time(stream.latency.max() as f64 / 1e3),
            ),
        );
    }
}

fn throughput(out: &mut String, streams: &[&Stream]) {
    let high =
        streams.iter().flat_map(|it| &it.points).map(|it| it.bytes / 1e6).fold(0.0, f64::max);
    let step = nice_step(high);
    let panel = Panel {
        top: 500.0,
        height: 170.0,
        x: (0.0, seconds(streams)),
        y: (0.0, (high / step).ceil().max(1.0) * step),
    };
    panel.frame(out, "Throughput in MB/s over seconds");
    grid(out, &panel, step, |value| format!("{}", (value * 1e3).round() / 1e3));
    for (place, stream) in streams.iter().enumerate() {
        let color = COLORS[place % COLORS.len()];
        panel.line(out, color, stream.points.iter().map(|point| (point.at, point.bytes / 1e6)));
        legend(out, panel.top + panel.height - 24.0 + 18.0 * place as f64, color, stream.name);
    }
}

fn over_time(out: &mut String, stream: &Stream) {
    type Pick = fn(&Point) -> u64;
    let lines: [(&str, &str, Pick); 3] = [
        ("#1f6fb2", "p50", |point| point.p50),
        ("#c2571a", "p99", |point| point.p99),
        ("#888", "max", |point| point.max),
    ];
    let values = || stream.points.iter().flat_map(|it| [it.p50, it.max]).filter(|it| *it > 0);
    let low = (values().min().unwrap_or(1_000) as f64).log10().floor();
    let high = (values().max().unwrap_or(1_000_000) as f64).log10().ceil().max(low + 1.0);
    let panel = Panel { top: 740.0, height: 190.0, x: (0.0, seconds(&[stream])), y: (low, high) };
    panel.frame(out, &format!("Latency ({}) over seconds", stream.name));
    grid(out, &panel, 1.0, |decade| time(10f64.powf(decade) / 1e3));
    for (place, (color, name, pick)) in lines.into_iter().enumerate() {
        let with_values = stream.points.iter().filter(|point| point.max > 0);
        panel.line(out, color, with_values.map(|it| (it.at, (pick(it).max(1) as f64).log10())));
        legend(out, panel.top + 18.0 + 16.0 * place as f64, color, name);
    }
}

fn grid(out: &mut String, panel: &Panel, step: f64, label: impl Fn(f64) -> String) {
    let mut value = panel.y.0;
    while value <= panel.y.1 + step / 2.0 {
        panel.horizontal(out, value, &label(value));
        value += step;
    }
    let step = nice_step(panel.x.1).max(1.0);
    let mut second = 0.0;
    while second <= panel.x.1 {
        panel.vertical(out, second, &format!("{second:.0}"));
        second += step;
    }
}

fn seconds(streams: &[&Stream]) -> f64 {
    streams.iter().flat_map(|it| &it.points).map(|point| point.at).fold(1.0, f64::max)
}

/// 1, 2 or 5 times a power of ten, so that some five steps reach `high`.
fn nice_step(high: f64) -> f64 {
    let rough = (high / 5.0).max(1e-3);
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().find(|step| step * power >= rough);
    step.unwrap_or(10.0) * power
}

fn logarithm(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    (histogram.value_at_quantile(quantile).max(1) as f64).log10()
}

fn quantile(histogram: &Histogram<u64>, quantile: f64) -> String {
    time(histogram.value_at_quantile(quantile) as f64 / 1e3)
}

fn legend(out: &mut String, y: f64, color: &str, label: &str) {
    let x = LEFT + 14.0;
    put(out, &format!(r##"<path d="M{x} {y}h22" stroke="{color}" stroke-width="3"/>"##));
    text(out, (x + 30.0, y + 4.0), "start", &escape(label));
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, markup: &str) {
    put(out, &format!(r##"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{markup}</text>"##));
}

fn put(out: &mut String, markup: &str) {
    out.push_str(markup);
    out.push('\n');
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
