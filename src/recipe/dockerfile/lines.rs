//! The instructions of a Dockerfile's text, each with its line and what belongs to it.
//!
//! Knows how lines are joined, where heredocs end and what a directive says; not what instructions mean.

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    /// Where it begins, from 1.
    pub(super) line: usize,
    /// `RUN`, in capitals however it was written.
    pub(super) word: String,
    /// `--mount=…`, without quotes.
    pub(super) flags: Vec<String>,
    /// What follows the flags, on one line.
    pub(super) rest: String,
    /// Where the text of its heredocs begins and ends, in lines.
    pub(super) heredocs: Vec<(usize, usize)>,
}

/// A text that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) instructions: Vec<Instruction>,
    /// What `# syntax=` says.
    pub(super) syntax: Option<String>,
    /// What escapes the end of a line: a backslash unless `# escape=` says otherwise.
    pub(super) escape: char,
}

/// Why a text is no Dockerfile: the line, and the clause.
pub(super) type Broken = (usize, String);

/// Reads a text.
pub(super) fn read(text: &str) -> Result<Text, Broken> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut read = Text { escape: '\\', ..Text::default() };
    let lines: Vec<&str> =
        text.split_inclusive('\n').map(|line| line.trim_end_matches(['\r', '\n'])).collect();
    let mut at = directives(&lines, &mut read)?;
    while at < lines.len() {
        let begin = at;
        let (line, after) = joined(&lines, at, read.escape);
        at = after;
        if line.trim().is_empty() {
            continue;
        }
        let mut instruction = split(&line, begin + 1, read.escape);
        for (name, chomp) in heredocs(&instruction, &line, read.escape) {
            let ends = |line: &&str| {
                let line = if chomp { line.trim_start_matches('\t') } else { line };
                line == name
            };
            let Some(length) = lines[at..].iter().position(ends) else {
                return Err((begin + 1, format!("its heredoc `{name}` does not end")));
            };
            instruction.heredocs.push((at + 1, at + length));
            at += length + 1;
        }
        read.instructions.push(instruction);
    }
    Ok(read)
}

/// Reads the directives at the top and gives the first line after them.
fn directives(lines: &[&str], read: &mut Text) -> Result<usize, Broken> {
    let mut seen = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some((key, value)) = directive(line) else { return Ok(at) };
        if seen.contains(&key) {
            return Err((at + 1, format!("it says `# {key}=` a second time")));
        }
        match key.as_str() {
            "syntax" => read.syntax = value.split(' ').next().map(str::to_owned),
            "escape" => match value {
                "\\" | "`" => read.escape = value.chars().next().unwrap_or('\\'),
                _ => return Err((at + 1, "`# escape=` is a backslash or a backtick".into())),
            },
            _ => {}
        }
        seen.push(key);
    }
    Ok(lines.len())
}

/// `# key = value`, if it is one that the builder knows.
fn directive(line: &str) -> Option<(String, &str)> {
    let (key, value) = line.trim_start().strip_prefix('#')?.split_once('=')?;
    let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
    let known = matches!(key.as_str(), "syntax" | "escape" | "check") && !value.is_empty();
    known.then_some((key, value))
}

/// The line that begins here, with those that continue it, and where the next one begins. Comments
/// and empty lines in between are no end of it.
pub(super) fn joined(lines: &[&str], mut at: usize, escape: char) -> (String, usize) {
    let mut whole = String::new();
    let mut first = true;
    while let Some(line) = lines.get(at) {
        at += 1;
        if is_comment(line) || (!first && line.trim().is_empty()) {
            if first {
                break;
            }
            continue;
        }
        let line = if first { line.trim_start() } else { line };
        first = false;
        match continued(line, escape) {
            Some(part) => whole.push_str(part),
            None => {
                whole.push_str(line);
                break;
            }
        }
    }
    (whole, at)
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

/// The line without the character that continues it; two of them are one that is meant.
fn continued(line: &str, escape: char) -> Option<&str> {
    let part = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!part.ends_with(escape)).then_some(part)
}

/// Divides a line into its first word, flags and the rest.
pub(super) fn split(line: &str, at: usize, escape: char) -> Instruction {
    let line = line.trim();
    let end = line.find(char::is_whitespace).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    let (flags, rest) = flags(rest.trim_start(), escape);
    let (word, rest) = (word.to_ascii_uppercase(), rest.trim().to_owned());
    Instruction { line: at, word, flags, rest, heredocs: Vec::new() }
}

/// The words at the beginning that start with `--`, without their quotes, and what follows.
fn flags(text: &str, escape: char) -> (Vec<String>, &str) {
    let mut found = Vec::new();
    let mut rest = text;
    while rest.starts_with("--") {
        let mut word = String::new();
        let mut quote = None;
        let mut end = rest.len();
        let mut letters = rest.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                letter if quote == Some(letter) => quote = None,
                '\'' | '"' if quote.is_none() => quote = Some(letter),
                letter if letter == escape => word.extend(letters.next().map(|(_, next)| next)),
                letter if letter.is_whitespace() && quote.is_none() => {
                    end = at;
                    break;
                }
                letter => word.push(letter),
            }
        }
        rest = rest[end..].trim_start();
        if word == "--" {
            break;
        }
        found.push(word);
    }
    (found, rest)
}

/// The heredocs that a line opens: the word that ends each, and whether tabs before it are cut.
fn heredocs(instruction: &Instruction, line: &str, escape: char) -> Vec<(String, bool)> {
    let inner;
    let instruction = match instruction.word.as_str() {
        "ONBUILD" => {
            inner = split(&instruction.rest, 0, escape);
            &inner
        }
        _ => instruction,
    };
    if !matches!(instruction.word.as_str(), "RUN" | "COPY" | "ADD") || is_list(&instruction.rest) {
        return Vec::new();
    }
    words(line).iter().filter_map(|word| heredoc(word)).collect()
}

fn heredoc(word: &str) -> Option<(String, bool)> {
    let rest =
        word.trim_start_matches(|letter: char| letter.is_ascii_digit()).strip_prefix("<<")?;
    let (rest, chomp) = rest.strip_prefix('-').map_or((rest, false), |rest| (rest, true));
    let name: String = rest.chars().filter(|letter| !matches!(letter, '\'' | '"')).collect();
    (!name.is_empty() && !rest.contains('<')).then_some((name, chomp))
}

/// Words as a shell divides them, with their quotes.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        if letter.is_whitespace() && quote.is_none() {
            if !word.is_empty() {
                found.push(std::mem::take(&mut word));
            }
            continue;
        }
        word.push(letter);
        match letter {
            '\\' if quote != Some('\'') => word.extend(letters.next()),
            letter if quote == Some(letter) => quote = None,
            '\'' | '"' if quote.is_none() => quote = Some(letter),
            _ => {}
        }
    }
    if !word.is_empty() {
        found.push(word);
    }
    found
}

/// Whether it is the JSON form: `["sh", "-c"]`.
pub(super) fn is_list(rest: &str) -> bool {
    rest.starts_with('[') && serde_json::from_str::<Vec<String>>(rest).is_ok()
}
