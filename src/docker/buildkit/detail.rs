//! What a builder adds to its error: which step, and which lines of the Dockerfile. An old one adds nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard_buildkit_proto::google::rpc;
use prost::Message as _;
use serde::Deserialize;

use super::super::stages::short;
use super::super::told::Place;
use crate::recipe::written;

/// What is known besides the words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Details {
    /// The digest of the step.
    pub(super) step: Option<String>,
    pub(super) place: Option<Place>,
}

#[derive(Deserialize)]
struct Vertex {
    digest: String,
}

#[derive(Deserialize)]
struct Source {
    info: Info,
    #[serde(default)]
    ranges: Vec<Range>,
}

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    data: String,
}

#[derive(Deserialize)]
struct Range {
    start: Position,
    #[serde(default)]
    end: Position,
}

#[derive(Default, Deserialize)]
struct Position {
    #[serde(default)]
    line: usize,
}

impl Details {
    /// Reads those that came with an error; what is not understood is left out.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut details = Self::default();
        let Ok(status) = rpc::Status::decode(bytes) else { return details };
        for any in status.details {
            if any.type_url.ends_with("errdefs.Vertex+json") {
                let vertex: Option<Vertex> = serde_json::from_slice(&any.value).ok();
                details.step = details.step.or(vertex.map(|vertex| vertex.digest));
            } else if any.type_url.ends_with("errdefs.Source+json") {
                let source: Option<Source> = serde_json::from_slice(&any.value).ok();
                details.place = details.place.or(source.and_then(|source| source.place()));
            }
        }
        details
    }
}

impl Source {
    fn place(self) -> Option<Place> {
        let range = self.ranges.first().filter(|range| range.start.line > 0)?;
        let data = STANDARD.decode(self.info.data).ok()?;
        let text = String::from_utf8_lossy(&data);
        let (first, last) = (range.start.line, range.end.line.max(range.start.line));
        // Of a RUN that goes on over lines it tells the first alone.
        let whole = written(&text).into_iter().find(|one| one.line == first);
        whole.map(|one| Place { line: first, text: one.text }).or_else(|| {
            let lines: Vec<_> = text.lines().skip(first - 1).take(last - first + 1).collect();
            Some(Place { line: first, text: joined(&lines) })
        })
    }
}

/// Lines that go on after a backslash, as one.
fn joined(lines: &[&str]) -> String {
    let parts = lines.iter().map(|line| line.trim().trim_end_matches('\\').trim_end());
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Where an instruction stands, if it is there once: for builders that do not say so themselves, and may tell it with
/// its variables filled in.
pub(in crate::docker) fn find(dockerfile: &str, instruction: &str) -> Option<Place> {
    let wanted = instruction.split_whitespace().collect::<Vec<_>>().join(" ");
    let all = written(dockerfile);
    let same: Vec<_> = all.iter().filter(|one| one.text.eq_ignore_ascii_case(&wanted)).collect();
    let like: Vec<_> = match same.is_empty() {
        true => all.iter().filter(|one| is_filled_in(&one.text, &wanted)).collect(),
        false => same,
    };
    match like.as_slice() {
        [one] => Some(Place { line: one.line, text: one.text.clone() }),
        _ => None,
    }
}

/// Whether a text may be another with its variables filled in, whatever they stand for.
fn is_filled_in(written: &str, told: &str) -> bool {
    let (written, told) = (written.to_ascii_lowercase(), told.to_ascii_lowercase());
    let parts = between_variables(&written);
    let [first, inner @ .., last] = parts.as_slice() else { return false };
    let Some(mut rest) = told.strip_prefix(first.as_str()) else { return false };
    for part in inner {
        let Some((_, after)) = rest.split_once(part.as_str()) else { return false };
        rest = after;
    }
    rest.ends_with(last.as_str())
}

/// What stands before, between and after `$A` and `${A:-b}`.
fn between_variables(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, letters.peek().copied()) {
            ('$', Some('{')) => {
                letters.find(|letter| *letter == '}');
                parts.push(String::new());
            }
            ('$', Some(next)) if next.is_ascii_alphabetic() || next == '_' => {
                while letters.next_if(|c| c.is_ascii_alphanumeric() || *c == '_').is_some() {}
                parts.push(String::new());
            }
            _ => parts.last_mut().map(|part| part.push(letter)).unwrap_or_default(),
        }
    }
    parts
}

/// The first line that begins with this image, which builders call by its whole name.
pub(super) fn find_from(dockerfile: &str, image: &str) -> Option<Place> {
    let short = short(image);
    let from = |line: &str| {
        let mut words = line.split_whitespace();
        let is_from = words.next().is_some_and(|word| word.eq_ignore_ascii_case("from"));
        is_from && words.any(|word| word == image || word == short)
    };
    let found = written(dockerfile).into_iter().find(|one| from(&one.text))?;
    Some(Place { line: found.line, text: found.text })
}

/// One line by its number.
pub(super) fn line(dockerfile: &str, line: usize) -> Option<Place> {
    let text = dockerfile.lines().nth(line.checked_sub(1)?)?;
    Some(Place { line, text: text.trim().to_owned() })
}
