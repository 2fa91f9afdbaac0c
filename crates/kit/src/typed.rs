//! What people type to find somebody: words and their parts, and numbers in any form.

use sqlx::{Postgres, QueryBuilder};
use vocabulary::{PhoneNumber, fold_for_parts, fold_for_search};

/// A shorter number is a part of one.
const WHOLE_PHONE: usize = 10;

/// A shorter part is looked for where words begin: inside of them no index knows it, and whoever looks
/// for house 77 does not mean 177.
const SHORTEST_PART: usize = 3;

/// The words of a text, folded as they are compared.
pub fn words(text: &str) -> Vec<String> {
    let folded = fold_for_search(text);
    let words = folded.split(' ').filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// The condition that `column`, which [`fold_for_parts`] has made, has the word: a part of a word, or
/// the beginning of one where it is short. `forms`: or another form of it, where PostgreSQL knows that.
pub fn push_word(
    query: &mut QueryBuilder<Postgres>,
    column: &str,
    forms: Option<&str>,
    word: &str,
) {
    let part = like_literal(&fold_for_parts(word));
    query.push(format_args!(" and ({column} like "));
    if word.chars().count() < SHORTEST_PART {
        query.push_bind(format!("{part}%"));
        query.push(format_args!(" or {column} like "));
        query.push_bind(format!("% {part}%"));
    } else {
        query.push_bind(format!("%{part}%"));
    }
    // A number has no other forms, and to look for them in a column of its own is what costs most.
    if let Some(forms) = forms
        && word.chars().any(char::is_alphabetic)
    {
        query.push(format_args!(" or {forms} @@ plainto_tsquery('russian', "));
        query.push_bind(word.to_owned()).push(")");
    }
    query.push(")");
}

pub fn digits_of(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// In E.164 without an extension.
pub fn whole_phone(text: &str) -> Option<String> {
    if digits_of(text).len() < WHOLE_PHONE || text.chars().any(char::is_alphabetic) {
        return None;
    }
    PhoneNumber::parse(text).ok().map(|phone| phone.to_string())
}

/// Digits as typed, and with the trunk prefix 8 read as the country code 7. None for a text with
/// letters, or with too few digits to mean a phone.
pub fn parts_of_phone(text: &str) -> Vec<String> {
    let digits = digits_of(text);
    if digits.len() < 3 || text.chars().any(char::is_alphabetic) {
        return Vec::new();
    }
    let rest = digits.strip_prefix('8').filter(|rest| rest.len() >= 3);
    let national = rest.map(|rest| format!("7{rest}"));
    std::iter::once(digits).chain(national).collect()
}

/// A word that means itself between the wildcards of LIKE. Folding leaves letters and digits only;
/// this holds whatever folding becomes.
fn like_literal(word: &str) -> String {
    let mut literal = String::with_capacity(word.len());
    for c in word.chars() {
        if matches!(c, '\\' | '%' | '_') {
            literal.push('\\');
        }
        literal.push(c);
    }
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_recognised_in_any_form() {
        let whole = whole_phone("8 (900) 000-07-77");
        assert_eq!(whole.as_deref(), Some("+79000000777"));
        assert_eq!(whole_phone("000-07-77"), None);
        assert_eq!(parts_of_phone("8 900 12"), ["890012", "790012"]);
        assert_eq!(parts_of_phone("0777"), ["0777"]);
        for text in ["Вектор", "7", "Tele2 777", "№ 12"] {
            assert!(parts_of_phone(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn wildcards_are_letters() {
        assert_eq!(like_literal("100%_\\"), "100\\%\\_\\\\");
    }

    #[test]
    fn a_short_part_begins_a_word() {
        let mut query = QueryBuilder::new("");
        for word in ["77", "строй"] {
            push_word(&mut query, "words", Some("forms"), word);
        }
        assert_eq!(
            query.sql().as_str(),
            " and (words like $1 or words like $2) \
             and (words like $3 or forms @@ plainto_tsquery('russian', $4))"
        );
    }
}
