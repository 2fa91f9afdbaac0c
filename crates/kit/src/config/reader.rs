use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    path::Path,
    str::FromStr,
};

use ::config::{Environment, File, FileFormat, Value, ValueKind};
use secrecy::SecretString;

/// One thing that is wrong. Never the value: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `section.key`.
    pub key: String,
    pub what: String,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError(Vec<Fault>);

impl ConfigError {
    pub fn faults(&self) -> &[Fault] {
        &self.0
    }

    fn whole(what: &dyn fmt::Display) -> Self {
        Self(vec![Fault {
            key: "configuration".to_owned(),
            what: what.to_string(),
        }])
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is not usable:")?;
        self.0
            .iter()
            .try_for_each(|fault| write!(f, "\n  {}: {}", fault.key, fault.what))
    }
}

/// A setting as it was written, before anyone knows what it should be.
#[derive(Debug, Clone)]
enum Raw {
    One(String),
    Many(Vec<String>),
}

/// All settings by `section.key`.
#[derive(Debug, Clone, Default)]
pub(super) struct Values(BTreeMap<String, Raw>);

impl Values {
    /// `environment` stands for the process's own in tests.
    pub(super) fn load(
        file: Option<&Path>,
        environment: Option<HashMap<String, String>>,
    ) -> Result<Self, ConfigError> {
        let text = match file {
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                ConfigError::whole(&format!("{} cannot be read: {error}", path.display()))
            })?,
            None => String::new(),
        };
        Self::merge(&text, environment)
    }

    #[cfg(test)]
    pub(super) fn parse(
        text: &str,
        environment: HashMap<String, String>,
    ) -> Result<Self, ConfigError> {
        Self::merge(text, Some(environment))
    }

    fn merge(
        text: &str,
        environment: Option<HashMap<String, String>>,
    ) -> Result<Self, ConfigError> {
        let source = Environment::with_prefix("KONTAKTY")
            .separator("__")
            .source(environment.map(|map| map.into_iter().collect()));
        let tree: HashMap<String, Value> = ::config::Config::builder()
            .add_source(File::from_str(text, FileFormat::Toml))
            .add_source(source)
            .build()
            .and_then(::config::Config::try_deserialize)
            .map_err(|error| ConfigError::whole(&error))?;
        let mut values = BTreeMap::new();
        for (key, value) in tree {
            flatten(key, value, &mut values);
        }
        Ok(Self(values))
    }
}

fn flatten(key: String, value: Value, into: &mut BTreeMap<String, Raw>) {
    match value.kind {
        ValueKind::Table(table) => {
            for (name, inner) in table {
                flatten(format!("{key}.{name}"), inner, into);
            }
        }
        ValueKind::Array(items) => {
            let items = items.into_iter().map(|item| item.to_string()).collect();
            into.insert(key, Raw::Many(items));
        }
        scalar => {
            into.insert(key, Raw::One(scalar.to_string()));
        }
    }
}

/// Takes settings one by one and gathers what is wrong with them; what nobody took is unknown.
/// An empty text is the same as none, so that a file can list keys that have no default.
pub(super) struct Reader {
    values: Values,
    known: BTreeSet<String>,
    faults: Vec<Fault>,
}

impl Reader {
    pub(super) fn new(values: Values) -> Self {
        Self {
            values,
            known: BTreeSet::new(),
            faults: Vec::new(),
        }
    }

    pub(super) fn fault(&mut self, key: &str, what: impl Into<String>) {
        self.faults.push(Fault {
            key: key.to_owned(),
            what: what.into(),
        });
    }

    pub(super) fn optional(&mut self, key: &str) -> Option<String> {
        self.known.insert(key.to_owned());
        self.take(key)
    }

    fn take(&mut self, key: &str) -> Option<String> {
        match self.values.0.remove(key)? {
            Raw::One(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Raw::Many(_) => {
                self.fault(key, "must be one value, not a list");
                None
            }
        }
    }

    pub(super) fn text(&mut self, key: &str, default: &str) -> String {
        self.optional(key).unwrap_or_else(|| default.to_owned())
    }

    pub(super) fn optional_parsed<T: FromStr>(&mut self, key: &str, must: &str) -> Option<T> {
        let parsed = self.optional(key)?.parse();
        if parsed.is_err() {
            self.fault(key, must);
        }
        parsed.ok()
    }

    pub(super) fn parsed<T: FromStr>(&mut self, key: &str, default: T, must: &str) -> T {
        self.optional_parsed(key, must).unwrap_or(default)
    }

    pub(super) fn number<T>(&mut self, key: &str, default: T, least: T, most: T) -> T
    where
        T: FromStr + PartialOrd + fmt::Display + Copy,
    {
        let rule = format!("must be a number from {least} to {most}");
        let number = self.parsed(key, default, &rule);
        if number < least || number > most {
            self.fault(key, rule);
        }
        number
    }

    /// The first choice is the default.
    pub(super) fn chosen<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> T {
        if let Some(text) = self.optional(key) {
            if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
                return *value;
            }
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.fault(key, format!("must be one of {}", names.join(", ")));
        }
        choices[0].1
    }

    /// A list in the file; separated by commas in the environment.
    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        self.known.insert(key.to_owned());
        let items = match self.values.0.remove(key) {
            Some(Raw::Many(items)) => items,
            Some(Raw::One(text)) => text.split(',').map(str::to_owned).collect(),
            None => Vec::new(),
        };
        items
            .iter()
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect()
    }

    /// `key` itself, or the content of the file that `key_file` names.
    pub(super) fn secret(&mut self, key: &str) -> Option<SecretString> {
        let given = self.optional(key);
        let file_key = format!("{key}_file");
        let Some(path) = self.take(&file_key) else {
            return given.map(SecretString::from);
        };
        if given.is_some() {
            self.fault(&file_key, format!("cannot be given together with {key}"));
        }
        match std::fs::read_to_string(&path) {
            Ok(content) => Some(content.trim_end().to_owned().into()),
            Err(error) => {
                self.fault(&file_key, format!("cannot be read: {error}"));
                None
            }
        }
    }

    pub(super) fn finish(&mut self) -> Result<(), ConfigError> {
        for key in std::mem::take(&mut self.values.0).into_keys() {
            self.fault(&key, "is not a known key");
        }
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(ConfigError(std::mem::take(&mut self.faults)))
        }
    }
}

#[cfg(test)]
impl Reader {
    /// Keys that were written down.
    pub(super) fn listed(&self) -> BTreeSet<String> {
        self.values.0.keys().cloned().collect()
    }

    /// Keys that were asked for.
    pub(super) fn known(&self) -> BTreeSet<String> {
        self.known.clone()
    }
}
