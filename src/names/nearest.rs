//! The name that was probably meant. Pure; it knows nothing of what the names are of.

/// The candidate that was most likely meant: at most a third of its letters away, by the
/// Damerau-Levenshtein distance (a swap of neighbours is one slip, as in `regoin`), or the same but
/// for its path (`web` for `team/web`). A wrong guess is worse than none.
#[must_use]
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let last = |name: &str| name.rsplit('/').next().map(str::to_owned);
    let away = |name: &str| if last(name) == last(typed) { 1 } else { slips(typed, name) };
    let (distance, name) = candidates.into_iter().map(|name| (away(name), name)).min()?;
    (distance <= name.chars().count().div_ceil(3)).then_some(name)
}

/// Insertions, deletions, replacements and swaps of neighbours from one to the other, in any case.
fn slips(a: &str, b: &str) -> usize {
    let letters = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    let (a, b) = (letters(a), letters(b));
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_a_stranger_is_not() {
        assert_eq!(nearest("aws-regoin", ["aws-region", "cluster"]), Some("aws-region"));
        assert_eq!(nearest("clustr", ["aws-region", "cluster"]), Some("cluster"));
        assert_eq!(nearest("kubeconfig", ["aws-region", "cluster"]), None);
        assert_eq!(nearest("PROD", ["prod", "staging"]), Some("prod"));
        assert_eq!(nearest("web", ["prod", "team/web"]), Some("team/web"));
        assert_eq!(nearest("order", ["order-backend", "order-frontend"]), None);
        assert_eq!(nearest("prod", []), None);
    }
}
