//! Russian alphabetical order, the same on every machine: PostgreSQL's own depends on how it was
//! built and on the operating system.

use std::sync::LazyLock;

use icu_collator::{Collator, CollatorBorrowed, options::CollatorOptions};
use icu_locale_core::locale;

static RUSSIAN: LazyLock<Option<CollatorBorrowed<'static>>> =
    LazyLock::new(|| Collator::try_new(locale!("ru").into(), CollatorOptions::default()).ok());

/// Bytes that sort as people sort the text.
pub(crate) fn sort_key(text: &str) -> Vec<u8> {
    let mut key = Vec::new();
    match &*RUSSIAN {
        Some(collator) => {
            let Ok(()) = collator.write_sort_key_to(text, &mut key);
        }
        // The data is compiled in, so this is never reached; it would still be an order.
        None => key.extend(text.to_lowercase().into_bytes()),
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yo_stands_beside_ye_and_capitals_make_no_difference() {
        let mut names = ["жук", "Ёлка", "Елена", "ежевика", "Ель", "арка", "Ящик"];
        names.sort_by_key(|name| sort_key(name));
        assert_eq!(
            names,
            ["арка", "ежевика", "Елена", "Ёлка", "Ель", "жук", "Ящик"]
        );
    }
}
