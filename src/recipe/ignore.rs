//! Which paths the lines of a `.dockerignore` mean, by Docker's own rules.
//!
//! Pure: it reads no file. The last line that matches decides, a line that matches a folder matches
//! all below it, and `!` takes back. `shape` matches one line against one path.

mod class;
mod shape;
#[cfg(test)]
mod tests;

pub(super) use shape::Shape;

/// The lines of a `.dockerignore` that say something, each with its number.
///
/// Comments are known by the very first character, so ` # x` is a pattern.
pub(super) fn lines(text: &[u8]) -> Vec<(usize, String)> {
    let text = String::from_utf8_lossy(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text));
    let mut found = Vec::new();
    for (at, line) in text.split('\n').enumerate() {
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        let line = line.trim();
        let (sign, pattern) = match line.strip_prefix('!') {
            Some(rest) => ("!", rest.trim()),
            None => ("", line),
        };
        let pattern = if pattern.is_empty() { String::new() } else { clean(pattern) };
        // `/src` and `src` are the same; a lone `/` is left, and matches nothing.
        let pattern = match pattern.strip_prefix('/') {
            Some(rest) if !rest.is_empty() => rest,
            _ => &pattern,
        };
        found.push((at + 1, format!("{sign}{pattern}")));
    }
    found
}

/// A path without empty parts, `.` and `..` where they can be worked out, as Go's `filepath.Clean`.
pub(super) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(last) if *last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(".."),
            },
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".into(),
        (false, false) => joined,
    }
}

/// One line.
#[derive(Clone, Debug)]
struct Rule {
    /// It takes back what earlier lines matched.
    exception: bool,
    shape: Shape,
}

/// Lines that are asked together.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    exceptions: bool,
}

/// Which lines matched a folder: what is below it need not ask them again.
#[derive(Clone, Debug, Default)]
pub(super) struct Matched(Vec<bool>);

impl Rules {
    /// Reads patterns as `lines` gives them.
    ///
    /// # Errors
    /// The first pattern that Docker refuses too, and the clause that says why.
    pub(super) fn of(patterns: &[String]) -> Result<Self, (String, String)> {
        let mut rules = Vec::new();
        for pattern in patterns {
            let trimmed = pattern.trim();
            if trimmed.is_empty() {
                continue;
            }
            let cleaned = clean(trimmed);
            let (exception, text) = match cleaned.strip_prefix('!') {
                Some(text) => (true, text),
                None => (false, cleaned.as_str()),
            };
            if text.is_empty() {
                return Err((pattern.clone(), "nothing follows its `!`".into()));
            }
            let shape = Shape::of(text).map_err(|clause| (pattern.clone(), clause))?;
            rules.push(Rule { exception, shape });
        }
        let exceptions = rules.iter().any(|rule| rule.exception);
        Ok(Self { rules, exceptions })
    }

    /// Whether there is nothing to ask.
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a path is matched, asked by itself: its folders are tried too.
    pub(super) fn matches(&self, path: &str) -> bool {
        self.decides(path).is_some()
    }

    /// The same, and the place of the rule that decides it.
    pub(super) fn decides(&self, path: &str) -> Option<usize> {
        let mut decides = None;
        for (at, rule) in self.rules.iter().enumerate() {
            let tells = rule.exception == decides.is_some();
            if tells && (rule.shape.matches(path) || rule.shape.matches_above(path)) {
                decides = (!rule.exception).then_some(at);
            }
        }
        decides
    }

    /// Whether a path is matched, when it is known what matched the folder that it is in.
    pub(super) fn matches_in(&self, folder: Option<&Matched>, path: &str) -> bool {
        let mut matched = false;
        for (at, rule) in self.rules.iter().enumerate() {
            if known(folder, at) || (rule.exception == matched && rule.shape.matches(path)) {
                matched = !rule.exception;
            }
        }
        matched
    }

    /// The same of a folder, with what those below it need to know.
    pub(super) fn matches_folder(&self, folder: Option<&Matched>, path: &str) -> (bool, Matched) {
        let mut matched = false;
        let mut each = Vec::with_capacity(self.rules.len());
        for (at, rule) in self.rules.iter().enumerate() {
            let told = known(folder, at) || (rule.exception == matched && rule.shape.matches(path));
            each.push(told);
            if told {
                matched = !rule.exception;
            }
        }
        (matched, Matched(each))
    }

    /// Whether something below a folder that is left out may be taken back by an exception.
    pub(super) fn may_take_back(&self, folder: &str) -> bool {
        let exceptions = || self.rules.iter().filter(|rule| rule.exception);
        self.exceptions
            && (exceptions().any(|rule| rule.shape.is_wild())
                || exceptions().any(|rule| rule.shape.leads_below(folder)))
    }

    /// Whether something below a folder that does not match may match all the same.
    pub(super) fn may_match_below(&self, folder: &str) -> bool {
        let plain = || self.rules.iter().filter(|rule| !rule.exception);
        plain().any(|rule| rule.shape.is_wild()) || plain().any(|r| r.shape.leads_below(folder))
    }
}

fn known(folder: Option<&Matched>, at: usize) -> bool {
    folder.is_some_and(|matched| matched.0.get(at).copied().unwrap_or_default())
}
