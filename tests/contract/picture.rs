//! The picture of the front page: drawn from a real run of `slipway demo`, and checked against one.
//! `UPDATE=1 cargo test --test main picture` draws it again. Times, digests and names of pods differ
//! from run to run and are not compared.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

const COLUMN: usize = 8;
const ROW: usize = 19;
const MARGIN: usize = 18;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/picture.svg")
}

fn demo() -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
    command.arg("demo").env_clear().env("PATH", "");
    if let Some(folder) = std::env::var_os("TMPDIR") {
        command.env("TMPDIR", folder);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The colour of a line, or of its first word and of the rest.
fn shades(line: &str) -> (&'static str, &'static str) {
    match line.trim_start() {
        word if word.starts_with("error") => ("#ff7b72", "#e6edf3"),
        word if word.starts_with("$ ") => ("#7d8590", "#ffffff"),
        word if ["plan ", "push ", "watch "].iter().any(|label| word.starts_with(label)) => {
            ("#7d8590", "#e6edf3")
        }
        word if ["why:", "now:", "next:"].iter().any(|label| word.starts_with(label)) => {
            ("#7d8590", "#e6edf3")
        }
        word if word.starts_with("one:") || word.starts_with("two:") => ("#79c0ff", "#79c0ff"),
        _ => ("#9da7b3", "#9da7b3"),
    }
}

/// One line: its width is fixed, so that any monospaced font fits.
fn row(line: &str, at: usize) -> String {
    let indent = line.len() - line.trim_start().len();
    let text = line.trim();
    let (head, tail) = text.split_at(text.find([' ', '[']).unwrap_or(text.len()));
    let (first, rest) = shades(line);
    let width = text.chars().count() * COLUMN;
    let left = MARGIN + indent * COLUMN;
    format!(
        "<text x=\"{left}\" y=\"{at}\" textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\"><tspan fill=\"{first}\">{}</tspan><tspan fill=\"{rest}\">{}</tspan></text>\n",
        escaped(head),
        escaped(tail)
    )
}

fn draw(shown: &str) -> String {
    let lines: Vec<_> = std::iter::once("$ slipway demo").chain(shown.lines()).collect();
    let widest = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    let (width, height) = (widest * COLUMN + 2 * MARGIN, lines.len() * ROW + 2 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n<title>slipway demo</title>\n<style>text {{ font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, \"DejaVu Sans Mono\", monospace; white-space: pre; }}</style>\n<rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#0d1117\"/>\n"
    );
    for (at, line) in lines.iter().enumerate() {
        svg.push_str(&row(line, MARGIN + 13 + at * ROW));
    }
    let _ = writeln!(svg, "</svg>");
    svg
}

/// The text in a picture.
fn text(svg: &str) -> String {
    let rows = svg.lines().filter(|line| line.starts_with("<text"));
    let bare = rows.map(|row| {
        let mut inside = false;
        let mut kept = String::new();
        for letter in row.chars() {
            match letter {
                '<' => inside = true,
                '>' => inside = false,
                letter if !inside => kept.push(letter),
                _ => {}
            }
        }
        kept.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    });
    bare.collect::<Vec<_>>().join("\n")
}

/// What is the same in every run: the watch's own words depend on the moment.
fn lasting(text: &str) -> Vec<String> {
    let words = text.lines().map(str::trim).filter(|line| !line.starts_with('$'));
    words
        .map(|line| match line.split_whitespace().next() {
            Some(label @ ("watch" | "push")) => label.to_owned(),
            // How many exits were seen by then depends on the moment too.
            Some("why:") => line.split("; ").next().unwrap_or(line).to_owned(),
            _ => line.to_owned(),
        })
        .collect()
}

#[test]
fn the_picture_shows_what_the_demo_prints() {
    let shown = demo();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file(), draw(&shown)).unwrap();
    }
    let drawn = std::fs::read_to_string(file()).unwrap();
    assert_eq!(
        lasting(&text(&drawn)),
        lasting(&shown),
        "UPDATE=1 cargo test --test main picture draws it again"
    );
}
