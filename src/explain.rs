//! `slipway explain`: prints the page of a code, the codes of a subject, or the exit table.
//!
//! The pages under docs/codes are the only source: they are compiled in, and this reads the one form
//! that all of them have. It decides nothing and reaches nothing; what it cannot find it names.

use crate::error::{Code, Failure, one_line};

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
    facts: [Vec<&'a str>; 3],
    example: Vec<&'a str>,
    more: Vec<&'a str>,
}

impl<'a> Page<'a> {
    /// Reads the form: title, headline, the three facts, `## Example`, perhaps `## More`.
    fn read(text: &'a str) -> Option<Self> {
        let (head, rest) = text.split_once("\n## Example\n")?;
        let (example, more) = rest.split_once("\n## More\n").unwrap_or((rest, ""));
        let mut lines = head.lines().filter(|line| !line.is_empty());
        lines.next()?.strip_prefix("# ")?;
        let headline = lines.next()?;
        let mut facts: [Vec<&str>; 3] = Default::default();
        let mut at = None;
        for line in lines {
            let opened = FACTS.iter().position(|fact| fact_of(line, fact).is_some());
            at = opened.or(at);
            let words = opened.and_then(|n| fact_of(line, FACTS[n])).unwrap_or(line.trim());
            facts[at?].push(words);
        }
        let whole = facts.iter().all(|fact| !fact.is_empty());
        whole.then(|| Self { headline, facts, example: inner(example), more: inner(more) })
    }

    /// The headline without its exit code.
    fn cause(&self) -> &'a str {
        self.headline.split_once(" (exit ").map_or(self.headline, |(cause, _)| cause)
    }

    fn print(&self, code: Code) -> String {
        let mut out = format!("{code}: {}\n", self.headline);
        for (label, lines) in FACTS.iter().zip(&self.facts) {
            for (n, line) in lines.iter().enumerate() {
                let label = if n == 0 { label } else { "" };
                out.push_str(&format!("  {label:<7}{line}\n"));
            }
        }
        out.push_str(&block("example", &self.example));
        if !self.more.is_empty() {
            out.push_str(&block("more", &self.more));
        }
        out
    }
}

/// The words of `- fact: words`, if the line opens that fact.
fn fact_of<'a>(line: &'a str, fact: &str) -> Option<&'a str> {
    line.strip_prefix("- ")?.strip_prefix(fact)?.strip_prefix(": ")
}

/// The lines of a section without the empty ones around them.
fn inner(section: &str) -> Vec<&str> {
    section.trim_matches('\n').lines().collect()
}

/// A titled section as plain text: fences become indentation.
fn block(title: &str, lines: &[&str]) -> String {
    let only_fence = lines.iter().filter(|line| line.starts_with("```")).count() == 2
        && lines.first().is_some_and(|line| line.starts_with("```"))
        && lines.last().is_some_and(|line| line.starts_with("```"));
    let deeper = if only_fence { 4 } else { 6 };
    let mut fenced = false;
    let mut out = format!("\n  {title}\n");
    for line in lines {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if line.is_empty() {
            out.push('\n');
        } else {
            let indent = if fenced { deeper } else { 4 };
            out.push_str(&format!("{:indent$}{line}\n", ""));
        }
    }
    out
}

/// The exit table as aligned columns, and the sentences below it.
fn exits() -> String {
    let rows: Vec<Vec<String>> = EXITS
        .lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("|--"))
        .map(|line| {
            line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()
        })
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

/// No such code: names the nearest ones.
fn unknown(asked: &str, full: &str) -> Failure {
    let mut near: Vec<_> =
        Code::ALL.iter().map(|code| (distance(full, code.as_str()), *code)).collect();
    near.sort_by_key(|(far, _)| *far);
    let nearest = near.first().map_or(0, |(far, _)| *far);
    let shown: Vec<_> = near
        .iter()
        .take_while(|(far, _)| *far == nearest && *far <= 4)
        .take(3)
        .map(|(_, code)| format!("`{code}`"))
        .collect();
    let failure = Failure::new(Code::InputInvalid, format!("`{}` is no code", one_line(asked, 40)));
    if shown.is_empty() {
        failure.next("slipway explain   (lists every code)")
    } else {
        failure
            .why(format!("did you mean {}?", shown.join(" or ")))
            .next(format!("slipway explain {}", near[0].1))
    }
}

/// How many letters to change, add or drop to come from one to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}
