use unicode_normalization::UnicodeNormalization;

/// Trimmed and composed (NFC): й typed as two characters on some devices is one everywhere here.
pub fn normalise(text: &str) -> String {
    text.trim().nfc().collect()
}

/// What a name is compared by when people search: case, ё/е, look-alike Latin letters inside
/// Russian words, and punctuation make no difference.
pub fn fold_for_search(text: &str) -> String {
    let lower: String = text.nfc().flat_map(char::to_lowercase).collect();
    let mut folded = String::with_capacity(lower.len());
    for word in lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        if !folded.is_empty() {
            folded.push(' ');
        }
        let cyrillic = word.chars().any(|c| ('а'..='я').contains(&c) || c == 'ё');
        folded.extend(word.chars().map(|c| match (c, cyrillic) {
            ('a', true) => 'а',
            ('b', true) => 'в',
            ('c', true) => 'с',
            ('ё', _) | ('e', true) => 'е',
            ('h', true) => 'н',
            ('k', true) => 'к',
            ('m', true) => 'м',
            ('o', true) => 'о',
            ('p', true) => 'р',
            ('t', true) => 'т',
            ('x', true) => 'х',
            ('y', true) => 'у',
            (other, _) => other,
        }));
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_find_what_they_type() {
        assert_eq!(fold_for_search("ООО «Вектор-Строй»"), "ооо вектор строй");
        assert_eq!(fold_for_search("Фёдорова"), fold_for_search("ФЕДОРОВА"));
        // "Bектор" with a Latin B, "Cтрой" with a Latin C
        assert_eq!(fold_for_search("Bектор-Cтрой"), "вектор строй");
        assert_eq!(fold_for_search("Tele2"), "tele2");
        // й as и + breve
        assert_eq!(normalise("  и\u{306} "), "й");
    }
}
