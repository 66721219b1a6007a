//! Markdown and HTML of the summary, with every text escaped for the place it stands in.
//!
//! Pure functions over strings. GitHub's sanitizer is the second line of defence, not the first.

use std::time::Duration;

use super::super::{figures, text as talk};
use crate::error::Told;

/// Text with its code spans kept and everything else taken literally.
pub(super) fn text(text: &str) -> String {
    let parts: Vec<_> = text.split('`').collect();
    if parts.len() % 2 == 0 {
        // A backtick without its partner would swallow what follows.
        return escaped(text);
    }
    let part = |(n, part): (usize, &&str)| {
        if n % 2 == 1 { code(part) } else { escaped(part) }
    };
    parts.iter().enumerate().map(part).collect()
}

/// A code span; nothing can break out of it. Rare characters need the tag: there escapes work.
pub(super) fn code(text: &str) -> String {
    if text.contains(['<', '>', '&', '`', '|', '\\']) {
        format!("<code>{}</code>", escaped(text))
    } else {
        format!("`{text}`")
    }
}

/// A cell of a table.
pub(super) fn cell(text: &str) -> String {
    escaped(text)
}

/// A table without a head: label and markup.
pub(super) fn table(rows: &[(&str, String)]) -> String {
    let rows = rows.iter().map(|(label, markup)| format!("| {label} | {markup} |\n"));
    format!("| | |\n|---|---|\n{}", rows.collect::<String>())
}

/// A block as it is in the log.
pub(super) fn told(told: &Told) -> String {
    format!("\n<pre>{}</pre>\n", html(&talk::block(told).join("\n")))
}

/// Lines as they are in the terminal.
pub(super) fn lines(lines: &[String]) -> String {
    format!("\n<pre>{}</pre>\n", html(&lines.join("\n")))
}

/// Text that can be unfolded.
pub(super) fn details(title: &str, text: &str) -> String {
    format!(
        "\n<details open><summary>{}</summary>\n<pre>{}</pre>\n</details>\n",
        html(title),
        html(text)
    )
}

/// Bars that follow each other; their names are ours.
pub(super) fn gantt(bars: &[(&str, Duration)]) -> String {
    let mut lines = vec!["```mermaid", "gantt", "  dateFormat HH:mm:ss", "  axisFormat %M:%S"]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    for (n, (name, took)) in bars.iter().enumerate() {
        let start = if n == 0 { "00:00:00, " } else { "" };
        lines.push(format!(
            "  {name} {} : {start}{}s",
            figures::span(*took),
            figures::seconds(*took)
        ));
    }
    lines.push("```\n".into());
    lines.join("\n")
}

/// Text between tags.
fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Text that markdown takes literally.
fn escaped(text: &str) -> String {
    let mut markup = String::new();
    for c in text.chars() {
        match c {
            '&' => markup.push_str("&amp;"),
            '<' => markup.push_str("&lt;"),
            '>' => markup.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' | '@' | '$' => {
                markup.push('\\');
                markup.push(c);
            }
            c => markup.push(c),
        }
    }
    markup
}

/// Rows of label and text, as a table without a head.
pub(super) fn rows(rows: &[(String, String)]) -> Option<String> {
    let row =
        |(label, words): &(String, String)| format!("| {} | {} |\n", text(label), text(words));
    let body: String = rows.iter().map(row).collect();
    (!body.is_empty()).then(|| format!("| | |\n|---|---|\n{body}"))
}
