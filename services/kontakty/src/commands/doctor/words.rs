//! What the examination says, in the language of whoever reads it.

/// English and Russian.
#[derive(Clone)]
pub(super) struct Words {
    en: String,
    ru: String,
}

impl Words {
    pub(super) fn new(en: impl Into<String>, ru: impl Into<String>) -> Self {
        Self {
            en: en.into(),
            ru: ru.into(),
        }
    }

    /// What has no translation: an address, the words of a library.
    pub(super) fn same(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::new(text.clone(), text)
    }

    /// `self: other`
    pub(super) fn about(self, other: Self) -> Self {
        Self {
            en: [self.en, other.en].join(": "),
            ru: [self.ru, other.ru].join(": "),
        }
    }

    pub(super) fn told(self, language: Language) -> String {
        match language {
            Language::English => self.en,
            Language::Russian => self.ru,
        }
    }
}

impl From<(&str, &str)> for Words {
    fn from((en, ru): (&str, &str)) -> Self {
        Self::new(en, ru)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Language {
    English,
    Russian,
}

impl Language {
    /// Of the terminal: the first of these variables that says anything decides.
    pub(super) fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .filter_map(variable)
            .find(|locale| !locale.is_empty());
        if locale.is_some_and(|locale| locale.starts_with("ru")) {
            Self::Russian
        } else {
            Self::English
        }
    }
}

/// A line of the examination.
pub(super) struct Finding {
    pub(super) what: Words,
    pub(super) fault: Option<Words>,
}

impl Finding {
    pub(super) fn good(what: Words) -> Self {
        Self { what, fault: None }
    }

    pub(super) fn bad(what: Words, fault: Words) -> Self {
        Self {
            what,
            fault: Some(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_says_which_language() {
        let of = |pairs: &[(&str, &str)]| {
            Language::of_environment(|name| {
                let found = pairs.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(of(&[]), Language::English);
        assert_eq!(of(&[("LANG", "ru_RU.UTF-8")]), Language::Russian);
        let both = [("LC_ALL", "C.UTF-8"), ("LANG", "ru_RU.UTF-8")];
        assert_eq!(of(&both), Language::English);
        assert_eq!(of(&[("LC_ALL", ""), ("LANG", "ru")]), Language::Russian);
    }
}
