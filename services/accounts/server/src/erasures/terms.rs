//! How somebody who is forgotten is found in what people have typed, as far as accounts knows it:
//! the name of a person is known in contacts alone.

use std::collections::HashSet;

use es_postgres::Log;
use kit::stop_list::{of_email, of_phone};
use vocabulary::{Email, PhoneNumber, fold_for_search};

use kit::typed::{digits_of, parts_of_phone};

/// Parts that are shorter are in too many others.
const FEWEST_DIGITS: usize = 6;
const FEWEST_LETTERS: usize = 4;
/// Of a number within the country.
const NATIONAL: usize = 10;

pub(super) struct Terms<'a> {
    pub(super) log: &'a Log,
    /// Fingerprints of telephones and addresses.
    pub(super) stopped: &'a HashSet<String>,
    /// Those of the telephones that can be read here: people also search for a part of one.
    pub(super) phones: Vec<&'a PhoneNumber>,
    /// Of companies that are the person.
    pub(super) names: Vec<&'a str>,
}

impl Terms<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.stopped.is_empty() && self.phones.is_empty() && self.names.is_empty()
    }

    pub(super) fn are_in(&self, text: &str) -> bool {
        self.has_email(text)
            || self.has_phone(text)
            || self.names.iter().any(|name| speaks_of(text, name))
    }

    fn has_email(&self, text: &str) -> bool {
        let mut words = text.split(|c: char| c.is_whitespace() || ",;:<>()".contains(c));
        words.any(|word| {
            Email::parse(word)
                .is_ok_and(|email| self.stopped.contains(&of_email(self.log, email.as_str())))
        })
    }

    fn has_phone(&self, text: &str) -> bool {
        let is_other = |c: char| !(c.is_ascii_digit() || c.is_whitespace() || "+-().".contains(c));
        text.split(is_other).any(|number| {
            PhoneNumber::parse(number)
                .is_ok_and(|phone| self.stopped.contains(&of_phone(self.log, phone.as_str())))
                || self
                    .phones
                    .iter()
                    .any(|phone| is_part(number, phone.as_str()))
        })
    }
}

/// Digits of a telephone as the search reads them, or more than it.
fn is_part(number: &str, phone: &str) -> bool {
    let phone = digits_of(phone.split(';').next().unwrap_or(phone));
    let national = phone.get(phone.len().saturating_sub(NATIONAL)..);
    let mut readings = parts_of_phone(number).into_iter();
    readings.any(|number| {
        number.len() >= FEWEST_DIGITS
            && (phone.contains(&number) || number.contains(national.unwrap_or(&phone)))
    })
}

/// The name as it is, or nothing but words of it.
fn speaks_of(text: &str, name: &str) -> bool {
    let (text, name) = (fold_for_search(text), fold_for_search(name));
    if name.is_empty() {
        return false;
    }
    let known: HashSet<&str> = name.split(' ').collect();
    let telling = |word: &str| word.chars().count() >= FEWEST_LETTERS;
    format!(" {text} ").contains(&format!(" {name} "))
        || (text.split(' ').any(telling) && text.split(' ').all(|word| known.contains(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_by_its_words() {
        let name = "ИП Канарейкин А. Х.";
        for text in [
            "канарейкин",
            "Долг: ИП Канарейкин А.Х., Миасс",
            "Канарейкин А",
        ] {
            assert!(speaks_of(text, name), "{text}");
        }
        for text in ["", "ИП", "А", "Канарейкина", "Канарейкин Миасс", "Миасс"]
        {
            assert!(!speaks_of(text, name), "{text}");
        }
        assert!(!speaks_of("что угодно", "«»"));
    }

    #[test]
    fn a_telephone_is_found_by_its_digits() {
        for number in [
            "8 (900) 777-00-71",
            "777-00-71",
            "9007770071",
            "8 900 777",
            "8 900 777 00 71, 8 900 000 01 15",
        ] {
            assert!(is_part(number, "+79007770071"), "{number}");
        }
        for number in ["", "77-00-7", "8 900 777-00-72"] {
            assert!(!is_part(number, "+79007770071"), "{number}");
        }
        assert!(is_part("495 777-77-77", "+74957777777;ext=123"));
    }
}
