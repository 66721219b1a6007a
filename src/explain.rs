//! `slipway explain`: prints the page of a code, the codes of a subject, or the exit table.
//!
//! The pages under docs/codes are the only source: they are compiled in, and this reads the one form
//! that all of them have. It decides nothing and reaches nothing; what it cannot find it names.

use crate::error::{Code, Failure, one_line};
use crate::names::nearest;

/// The table of exit codes, which is no code's page.
const EXITS: &str = include_str!("../docs/codes/exit.md");

/// The facts of a page, in the order in which they are printed.
const FACTS: [&str; 3] = ["seen", "means", "fix"];

/// Prints what is known about a topic: a code in any case with or without `SW-`, a subject such as
/// `pull`, or `exit`.
pub fn explain(topic: &str) -> Result<String, Failure> {
    let asked = topic.trim();
    if asked.eq_ignore_ascii_case("exit") {
        return Ok(exits());
    }
    let full = full_name(asked);
    if let Some(code) = Code::find(&full) {
        let page = Page::read(code.page()).ok_or_else(|| malformed(code))?;
        return Ok(page.print(code));
    }
    let of_subject: Vec<_> =
        Code::ALL.iter().copied().filter(|code| format!("SW-{}", subject(*code)) == full).collect();
    if of_subject.is_empty() { Err(unknown(asked, &full)) } else { Ok(headlines(&of_subject)) }
}

/// Lists every code with its headline, by subject.
#[must_use]
pub fn list() -> String {
    let subjects: Vec<String> =
        Code::ALL.chunk_by(|one, next| subject(*one) == subject(*next)).map(headlines).collect();
    format!(
        "{}\none page: slipway explain SW-PULL-403   exit codes: slipway explain exit\n",
        subjects.join("\n")
    )
}

/// A page taken apart.
struct Page<'a> {
    headline: &'a str,
    facts: [&'a str; 3],
    example: &'a str,
    more: &'a str,
}

impl<'a> Page<'a> {
    /// Reads the form: title, headline, the three facts, `## Example`, perhaps `## More`.
    fn read(text: &'a str) -> Option<Self> {
        let (head, rest) = text.split_once("\n## Example\n")?;
        let (example, more) = rest.split_once("\n## More\n").unwrap_or((rest, ""));
        let mut lines = head.lines().filter(|line| !line.is_empty());
        lines.next()?.strip_prefix("# ")?;
        let headline = lines.next()?;
        let mut fact = |name: &str| lines.next()?.strip_prefix(&format!("- {name}: "));
        let [seen, means, fix] = FACTS;
        let facts = [fact(seen)?, fact(means)?, fact(fix)?];
        let example = example.trim().strip_prefix("```\n")?.strip_suffix("\n```")?;
        Some(Self { headline, facts, example, more: more.trim_matches('\n') })
    }

    /// The headline without its exit code.
    fn cause(&self) -> &'a str {
        self.headline.split_once(" (exit ").map_or(self.headline, |(cause, _)| cause)
    }

    fn print(&self, code: Code) -> String {
        let mut out = format!("{code}: {}\n", self.headline);
        for (label, words) in FACTS.iter().zip(self.facts) {
            out.push_str(&format!("  {label:<7}{words}\n"));
        }
        out.push_str(&section("example", self.example));
        if !self.more.is_empty() {
            out.push_str(&section("more", self.more));
        }
        out
    }
}

/// A titled section, indented below its title.
fn section(title: &str, text: &str) -> String {
    let line = |line: &str| if line.is_empty() { "\n".into() } else { format!("    {line}\n") };
    let lines: String = text.lines().map(line).collect();
    format!("\n  {title}\n{lines}")
}

/// The exit table as aligned columns, and the sentences below it.
fn exits() -> String {
    let rows: Vec<Vec<&str>> = EXITS
        .lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("|--"))
        .map(|line| line.trim_matches('|').split('|').map(|cell| bare(cell.trim())).collect())
        .collect();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let mut out = String::new();
    for row in &rows {
        let cells: Vec<_> = row
            .iter()
            .enumerate()
            .map(|(n, cell)| format!("{cell:<wide$}", wide = width(n)))
            .collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    let below = EXITS
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .skip_while(|line| line.starts_with('|'));
    for line in below {
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// A cell that is nothing but a name, without its backticks.
fn bare(cell: &str) -> &str {
    cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`')).unwrap_or(cell)
}

/// `SW-SUBJECT-FACT` in capitals, whatever was typed.
fn full_name(asked: &str) -> String {
    let upper = asked.to_ascii_uppercase().replace([' ', '_'], "-");
    if upper.starts_with("SW-") { upper } else { format!("SW-{upper}") }
}

/// The middle word of a code.
fn subject(code: Code) -> &'static str {
    code.as_str().split('-').nth(1).unwrap_or_default()
}

/// A line a code.
fn headlines(codes: &[Code]) -> String {
    let line = |code: &Code| {
        let cause = Page::read(code.page()).map_or("", |page| page.cause());
        format!("{:<22}{cause}\n", code.as_str())
    };
    codes.iter().map(line).collect()
}

fn malformed(code: Code) -> Failure {
    Failure::new(Code::RunBug, format!("the page of `{code}` is not in the form of a page"))
}

/// No such code: names the nearest.
fn unknown(asked: &str, full: &str) -> Failure {
    let failure = Failure::new(Code::InputInvalid, format!("`{}` is no code", one_line(asked, 40)));
    match nearest(full, Code::ALL.iter().map(|code| code.as_str())) {
        Some(near) => {
            failure.why(format!("did you mean `{near}`?")).next(format!("slipway explain {near}"))
        }
        None => failure.next("slipway explain   lists every code"),
    }
}

#[cfg(test)]
mod tests;
