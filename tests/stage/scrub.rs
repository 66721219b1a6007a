//! Takes out of a text what differs from run to run: durations, times, ports, names of pods. What a
//! user would read otherwise stays.

use std::path::Path;

/// The text with everything that varies replaced.
pub fn text(text: &str, folder: &Path, url: &str) -> String {
    let text = text.replace(&folder.display().to_string(), "@FOLDER@");
    // On the real ground every host has its own name, and no port is in any text.
    let text = match url.rsplit_once(':') {
        Some((_, port)) => text.replace(port, "@PORT@"),
        None => text,
    };
    text.lines().map(|line| format!("{}\n", line_of(line))).collect()
}

/// `web:9f2c1e4…@sha256:0190224f8b4c…` with the short forms that people read.
pub fn image(name: &str) -> String {
    let (name, digest) = name.split_once('@').unwrap_or((name, ""));
    let (repository, tag) = name.split_once(':').unwrap_or((name, ""));
    let tag = if tag.len() == 40 { &tag[..7] } else { tag };
    let tag = if tag.is_empty() { String::new() } else { format!(":{tag}") };
    let digest = digest.get(..19).map_or(String::new(), |short| format!("@{short}"));
    format!("{repository}{tag}{digest}")
}

/// A line of a story that is told on two grounds, without what only one of them counts: sizes of images,
/// generations, revisions.
pub fn grounded(line: &str) -> String {
    let words: Vec<_> = line.split(' ').collect();
    let is_counted = |at: usize| {
        let unit = words
            .get(at + 1)
            .is_some_and(|unit| ["B", "kB", "MB"].contains(&unit.trim_matches(['(', ')', ','])));
        let generation = line.contains(" generation ")
            && at > 0
            && ["generation", "->"].contains(&words[at - 1]);
        // A workload's life before the story is its ground's.
        let revision = at > 0 && words[at - 1] == "revision";
        unit || generation || revision
    };
    let hidden = words.iter().enumerate().map(|(at, word)| {
        let bare = word.trim_start_matches('(');
        let is_number = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
        match is_number && is_counted(at) {
            true => word.replace(bare, "@"),
            false => (*word).to_owned(),
        }
    });
    let line = hidden.collect::<Vec<_>>().join(" ");
    let line = addresses(&line);
    ["kB", "MB"].iter().fold(line, |line, unit| line.replace(&format!("@ {unit}"), "@ B"))
}

/// Addresses of pods, which every cluster gives as it likes, and the registry's two names.
fn addresses(line: &str) -> String {
    let line =
        line.replace("127.0.0.1:@PORT@", "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com");
    // Only ECR's own name of a registry tells its region and account.
    let line = line.replace("ecr:REGION:ACCOUNT:", "ecr:ap-northeast-2:123456789012:");
    let is_of_address = |c: char| c.is_ascii_digit() || c == '.';
    let mut out = String::new();
    for part in line.split_inclusive(|c: char| !is_of_address(c)) {
        let word = part.trim_end_matches(|c: char| !is_of_address(c));
        let is_address = word.split('.').count() == 4 && word.starts_with("10.");
        out += &if is_address { part.replace(word, "@ADDRESS@") } else { part.to_owned() };
    }
    out
}

fn line_of(line: &str) -> String {
    let words: Vec<_> = line.split(' ').collect();
    let ago = |at: usize| {
        words.get(at + 1).is_some_and(|next| next.starts_with("ago") || next.starts_with("after"))
    };
    let span = |at: usize| at > 0 && words[at - 1] == "for" && words[at].ends_with("s:");
    let scrubbed = words.iter().enumerate().map(|(at, text)| match text {
        _ if ago(at) => "@".into(),
        _ if span(at) => "@s:".into(),
        text => word(text),
    });
    counted(&scrubbed.collect::<Vec<_>>().join(" ").replace(" @ s", " @s"))
}

/// How many pods had crashed how often when it was enough depends on time; that it is counted right is
/// the judge's own test.
fn counted(line: &str) -> String {
    let Some((before, after)) = line.split_once(" new pods, ") else { return line.to_owned() };
    let (head, _) = before.rsplit_once(' ').unwrap_or(("", before));
    let tail = after.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{head} @ new pods, @{tail}")
}

/// One word: durations (`0.4`, `48s`, `+6.9s`), moments, and pods (`web-6c9f7d5b8-x2kqp`, `x2kqp`).
fn word(word: &str) -> String {
    let bare = word
        .trim_end_matches([',', ';', ':', '.', ')', '"', '`'])
        .trim_start_matches(['(', '"', '`']);
    let replaced = if is_decimal(bare) {
        "@"
    } else if bare.strip_prefix('+').and_then(|w| w.strip_suffix('s')).is_some_and(is_decimal) {
        "+@s"
    } else if is_moment(bare) {
        "@MOMENT@"
    } else if is_second(bare) {
        "@SECOND@"
    } else if is_evidence(bare) {
        "slipway-evidence-@.txt"
    } else if is_pod(bare) {
        "web-@HASH@-@POD@"
    } else if is_pod_name(bare) {
        "@POD@"
    } else {
        return word.to_owned();
    };
    word.replace(bare, replaced)
}

fn is_decimal(text: &str) -> bool {
    text.split_once('.').is_some_and(|(a, b)| {
        !a.is_empty()
            && !b.is_empty()
            && [a, b].iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()))
    })
}

fn is_moment(text: &str) -> bool {
    text.len() >= 20 && text.as_bytes()[4] == b'-' && text.ends_with('Z')
}

/// A second since 1970, as STS writes it.
fn is_second(text: &str) -> bool {
    text.len() == 10 && text.starts_with('1') && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_evidence(text: &str) -> bool {
    text.starts_with("slipway-evidence-")
}

fn is_pod(text: &str) -> bool {
    let mut parts = text.rsplitn(3, '-');
    let (Some(name), Some(hash), Some(_)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    is_pod_name(name)
        && (8..=10).contains(&hash.len())
        && hash.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// Kubernetes makes names of these letters only, and every name it makes has five.
fn is_pod_name(text: &str) -> bool {
    text.len() == 5 && text.bytes().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b))
}
