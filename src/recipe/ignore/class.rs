//! Classes of characters in a pattern: `[a-z]`, `[^/]`, `\d`.

use std::str::Chars;

/// Some characters, or all but some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Class {
    ranges: Vec<(char, char)>,
    negated: bool,
}

impl Class {
    pub(super) fn only(letter: char) -> Self {
        Self { ranges: vec![(letter, letter)], negated: false }
    }

    pub(super) fn not(letter: char) -> Self {
        Self { ranges: vec![(letter, letter)], negated: true }
    }

    pub(super) fn any() -> Self {
        Self { ranges: Vec::new(), negated: true }
    }

    /// The one character that it has, if it has just one.
    pub(super) fn single(&self) -> Option<char> {
        match (self.negated, self.ranges.as_slice()) {
            (false, [(low, high)]) if low == high => Some(*low),
            _ => None,
        }
    }

    pub(super) fn has(&self, letter: char) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&letter)) != self.negated
    }

    /// The same as ranges alone, for a class within a class.
    fn spread(self) -> Vec<(char, char)> {
        if !self.negated {
            return self.ranges;
        }
        let mut ranges = self.ranges;
        ranges.sort_unstable();
        let mut from = Some('\0');
        let mut rest = Vec::new();
        for (low, high) in ranges {
            if let Some(first) = from.filter(|first| *first < low) {
                rest.extend((first..low).next_back().map(|last| (first, last)));
            }
            from = from.and_then(|first| (high..=char::MAX).nth(1).map(|next| next.max(first)));
        }
        rest.extend(from.map(|first| (first, char::MAX)));
        rest
    }
}

/// The rest of a class whose `[` was read. `deep`: as a regular expression reads it, where an escape
/// such as `\d` has a meaning; else an escaped character is itself.
pub(super) fn class(left: &mut Chars<'_>, deep: bool) -> Result<Class, String> {
    let mut found = Class { ranges: Vec::new(), negated: false };
    if left.as_str().starts_with('^') {
        left.next();
        found.negated = true;
    }
    let mut first = true;
    loop {
        let low = left.next().ok_or("its `[` is not closed")?;
        if low == ']' && !std::mem::take(&mut first) {
            return Ok(found);
        }
        first = false;
        if deep
            && low == '['
            && left.as_str().starts_with(':')
            && let Some(named) = named(left)?
        {
            found.ranges.extend(named);
            continue;
        }
        let low = one(low, left, deep)?;
        let dash = left.as_str().starts_with('-') && !left.as_str().starts_with("-]");
        let (Some(from), true) = (low.single(), dash) else {
            found.ranges.extend(low.spread());
            continue;
        };
        left.next();
        let high = left.next().ok_or("its `[` is not closed")?;
        let to = one(high, left, deep)?.single().filter(|to| *to >= from);
        let to = to.ok_or_else(|| format!("its range from `{from}` goes nowhere"))?;
        found.ranges.push((from, to));
    }
}

/// One character of a class, or the class that an escape stands for.
fn one(letter: char, left: &mut Chars<'_>, deep: bool) -> Result<Class, String> {
    match letter {
        '\\' if deep => escape(left.next()),
        '\\' => Ok(Class::only(left.next().unwrap_or('\\'))),
        letter => Ok(Class::only(letter)),
    }
}

/// What follows a backslash, as a regular expression of Go reads it: `bin\Debug` is not a path.
pub(super) fn escape(letter: Option<char>) -> Result<Class, String> {
    let letter = letter.ok_or("nothing follows its last `\\`")?;
    let ranges = |ranges: &[(char, char)], negated| Class { ranges: ranges.to_vec(), negated };
    Ok(match letter {
        'd' | 'D' => ranges(&[('0', '9')], letter == 'D'),
        'w' | 'W' => ranges(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')], letter == 'W'),
        's' | 'S' => ranges(&[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')], letter == 'S'),
        'a' => Class::only('\x07'),
        'f' => Class::only('\x0c'),
        't' => Class::only('\t'),
        'n' => Class::only('\n'),
        'r' => Class::only('\r'),
        'v' => Class::only('\x0b'),
        letter if letter.is_ascii_punctuation() && letter != '_' => Class::only(letter),
        letter => {
            return Err(format!("`\\{letter}` is no escape: folders are divided by `/`"));
        }
    })
}

/// `[:alpha:]`, whose `[` was read.
fn named(left: &mut Chars<'_>) -> Result<Option<Vec<(char, char)>>, String> {
    let Some((name, rest)) = left.as_str()[1..].split_once(":]") else { return Ok(None) };
    let (name, negated) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
    let ranges: &[(char, char)] = match name {
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "ascii" => &[('\0', '\x7f')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "cntrl" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
        "digit" => &[('0', '9')],
        "graph" => &[('!', '~')],
        "lower" => &[('a', 'z')],
        "print" => &[(' ', '~')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "upper" => &[('A', 'Z')],
        "word" => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        name => return Err(format!("`[:{name}:]` is no class")),
    };
    let found = Class { ranges: ranges.to_vec(), negated };
    *left = rest.chars();
    Ok(Some(found.spread()))
}
