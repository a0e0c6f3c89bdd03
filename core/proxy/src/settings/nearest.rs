//! "Did you mean …?": the nearest known name.

/// The known name that a typing error most likely meant, if one is near enough.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = typed.chars().count().div_ceil(3).max(1);
    let ranked = known.into_iter().map(|name| (distance(typed, name), name));
    ranked.filter(|(distance, _)| *distance <= limit).min().map(|(_, name)| name)
}

/// Edits (insert, delete, replace, swap neighbours) between two words, case apart.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_find_the_word_that_was_meant() {
        let known = ["registrar", "auth", "im_auth", "pa"];
        assert_eq!(nearest("regsitrar", known), Some("registrar"));
        assert_eq!(nearest("Registrar", known), Some("registrar"));
        assert_eq!(nearest("aut", known), Some("auth"));
        assert_eq!(nearest("imauth", known), Some("im_auth"));
    }

    #[test]
    fn a_word_unlike_any_finds_none() {
        assert_eq!(nearest("dispatcher", ["registrar", "auth", "pa"]), None);
        assert_eq!(nearest("", []), None);
    }
}
