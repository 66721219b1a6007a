//! A Dockerfile's lines and words: which instruction stands where. What it means is its stages'.

use super::wrong::Wrong;

/// The instructions that there are; a word that is none is told with the one that was probably meant.
const KNOWN: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// An instruction as it stands there.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Its first word, in capitals.
    pub(crate) word: String,
    /// The rest, without what continues it.
    pub(crate) rest: String,
    /// Its first and its last line in the file, from 1.
    pub(crate) lines: (i32, i32),
}

impl Line {
    /// The instruction as builders print it.
    pub(crate) fn text(&self) -> String {
        format!("{} {}", self.word, self.rest)
    }

    /// The options before its words, and the words.
    pub(crate) fn options(&self) -> (Vec<(&str, &str)>, &str) {
        let mut rest = self.rest.trim_start();
        let mut options = Vec::new();
        while let Some(after) = rest.strip_prefix("--") {
            let (option, more) = after.split_once(char::is_whitespace).unwrap_or((after, ""));
            options.push(option.split_once('=').unwrap_or((option, "")));
            rest = more.trim_start();
        }
        (options, rest)
    }

    /// Its words: a JSON array, or what stands between spaces.
    pub(crate) fn words(&self) -> Vec<String> {
        let (_, rest) = self.options();
        array(rest).unwrap_or_else(|| rest.split_whitespace().map(str::to_owned).collect())
    }
}

/// The strings of a JSON array, if it is one.
pub(crate) fn array(text: &str) -> Option<Vec<String>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()
}

/// The instructions of a Dockerfile.
pub(crate) fn lines(text: &str) -> Result<Vec<Line>, Wrong> {
    let mut all = Vec::new();
    let mut open: Option<(String, i32)> = None;
    for (at, line) in (1..).zip(text.lines()) {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with('#') {
            let words = bare.trim_start_matches('#').trim();
            if all.is_empty() && ["syntax=", "escape="].iter().any(|one| words.starts_with(one)) {
                return Err(Wrong::Unplayed(format!("`{bare}` of a Dockerfile")));
            }
            continue;
        }
        let (mut text, first) = open.take().unwrap_or_default();
        let first = if first == 0 { at } else { first };
        // Where a line goes on, its spaces stay.
        let line = if text.is_empty() { bare } else { line.trim_end() };
        if let Some(going_on) = line.strip_suffix('\\') {
            text.push_str(going_on);
            open = Some((text, first));
            continue;
        }
        text.push_str(line);
        all.push(instruction(&text, (first, at))?);
    }
    if let Some((text, first)) = open {
        all.push(instruction(&text, (first, first))?);
    }
    if all.is_empty() { Err(Wrong::Empty) } else { Ok(all) }
}

fn instruction(text: &str, lines: (i32, i32)) -> Result<Line, Wrong> {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let (word, rest) = (word.to_uppercase(), rest.trim().to_owned());
    if !KNOWN.contains(&word.as_str()) {
        return Err(Wrong::Unknown { word, line: lines.0 });
    }
    if rest.contains("<<") && ["RUN", "COPY", "ADD"].contains(&word.as_str()) {
        return Err(Wrong::Unplayed("a here-document in a Dockerfile".into()));
    }
    Ok(Line { word, rest, lines })
}

/// The instruction that a word was probably meant to be.
pub(crate) fn nearest(word: &str) -> Option<&'static str> {
    KNOWN.into_iter().find(|known| distance(word, known) <= 2 && known.len() > 2)
}

/// How many letters have to be changed to come from one word to the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.bytes().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_on_with_its_spaces() {
        let all = lines("FROM scratch\nRUN echo one && \\\n  # not this\n    exit 3\n").unwrap();
        assert_eq!(all[1].text(), "RUN echo one &&     exit 3");
        assert_eq!(all[1].lines, (2, 4));
    }

    #[test]
    fn options_stand_before_words() {
        let all = lines("COPY --from=base [\"a b\", \"/c\"]").unwrap();
        assert_eq!(all[0].options().0, [("from", "base")]);
        assert_eq!(all[0].words(), ["a b", "/c"]);
    }

    #[test]
    fn a_word_that_is_none_is_told_with_the_nearest() {
        assert_eq!(nearest("COPPY"), Some("COPY"));
        assert_eq!(nearest("INCLUDE"), None);
    }
}
