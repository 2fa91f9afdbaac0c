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
        folded.extend(word.chars().map(|letter| match letter {
            'ё' => 'е',
            letter if cyrillic => look_alike(letter),
            letter => letter,
        }));
    }
    folded
}

/// What a part of a word is compared by: as [`fold_for_search`], and Latin letters that look like
/// Russian ones are these in every word, because a part does not tell which it is.
pub fn fold_for_parts(text: &str) -> String {
    fold_for_search(text).chars().map(look_alike).collect()
}

fn look_alike(letter: char) -> char {
    match letter {
        'a' => 'а',
        'b' => 'в',
        'c' => 'с',
        'e' => 'е',
        'h' => 'н',
        'k' => 'к',
        'm' => 'м',
        'o' => 'о',
        'p' => 'р',
        't' => 'т',
        'x' => 'х',
        'y' => 'у',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_whatever_the_alphabet_of_the_rest() {
        // "OOO" and "BEKTOP" in Latin letters
        assert_eq!(fold_for_parts("OOO «BEKTOP»"), "ооо вектор");
        let (whole, part) = (fold_for_parts("Hotel Tele2"), fold_for_parts("HOTE"));
        assert!(whole.contains(&part), "{whole} {part}");
    }

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
