//! Which columns a file may have, and under which titles.

use std::sync::Arc;

use anyhow::bail;
use api::accounts::GetCatalogueRequest;

use super::{Kind, patiently};
use crate::client::Client;

/// What stands in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Column {
    /// The same in every office.
    Common(&'static str),
    /// A field that the office has agreed on, by its key.
    Custom(Arc<str>),
}

/// The columns of one kind of files.
pub(super) struct Columns {
    kind: Kind,
    fields: Vec<Field>,
}

struct Field {
    key: Arc<str>,
    /// What people call it.
    name: String,
}

/// A first line that was understood.
pub(super) struct Header {
    pub(super) columns: Vec<Option<Column>>,
    /// Columns that mean nothing here.
    pub(super) ignored: Vec<String>,
}

impl Columns {
    /// Cards have fields of the office, too.
    pub(super) async fn of(kind: Kind, client: &Client) -> anyhow::Result<Self> {
        let mut columns = Self::common(kind);
        if kind == Kind::Accounts {
            let catalogue = client.catalogue()?;
            let ask = async || {
                let request = GetCatalogueRequest::default();
                Ok(catalogue.clone().get_catalogue(request).await?.into_inner())
            };
            let known = patiently(ask).await?;
            let fields = known.fields.into_iter().map(|field| Field {
                key: field.key.into(),
                name: field.name,
            });
            columns.fields = fields.collect();
        }
        Ok(columns)
    }

    pub(super) fn common(kind: Kind) -> Self {
        let fields = Vec::new();
        Self { kind, fields }
    }

    /// Refuses, naming what is missing, a line that does not name the columns.
    pub(super) fn header(&self, titles: &[String]) -> anyhow::Result<Header> {
        let mut columns: Vec<Option<Column>> = Vec::with_capacity(titles.len());
        let mut ignored = Vec::new();
        for title in titles {
            // Of two columns for the same the first one counts.
            let column = self.called(title).map(Some);
            let column = column.filter(|column| !columns.contains(column)).flatten();
            if column.is_none() {
                ignored.push(column_name(title));
            }
            columns.push(column);
        }
        if columns.iter().all(Option::is_none) {
            bail!(
                "its first line must name the columns: {}",
                self.kind.columns().join(",")
            );
        }
        let needed = self.kind.required().iter().copied();
        let is_there = |name| columns.contains(&Some(Column::Common(name)));
        let missing: Vec<&str> = needed.filter(|name| !is_there(name)).collect();
        if !missing.is_empty() {
            bail!("its first line lacks the columns {}", missing.join(", "));
        }
        Ok(Header { columns, ignored })
    }

    /// The column with this title; its own name goes before what people call it.
    pub(super) fn called(&self, title: &str) -> Option<Column> {
        let title = column_name(title);
        let common = |name: &str| {
            let mut known = self.kind.columns().iter();
            known.find(|column| **column == name).copied()
        };
        let mut exported = self.kind.titles().iter();
        let exported =
            exported.find(|(russian, english)| *english == title || column_name(russian) == title);
        match (common(&title), exported) {
            (Some(name), _) => Some(Column::Common(name)),
            (None, Some((_, english))) => common(english).map(Column::Common),
            (None, None) => self.field(&title).map(Column::Custom),
        }
    }

    /// Exports have `custom.` before the key, or the name.
    fn field(&self, title: &str) -> Option<Arc<str>> {
        let key = title.strip_prefix("custom.").unwrap_or(title);
        let by_key = self.fields.iter().find(|field| *field.key == *key);
        let found = by_key.or_else(|| {
            let mut fields = self.fields.iter();
            fields.find(|field| column_name(&field.name) == title)
        });
        found.map(|field| Arc::clone(&field.key))
    }
}

fn column_name(text: &str) -> String {
    text.trim()
        .trim_start_matches('\u{feff}')
        .to_lowercase()
        .replace(' ', "_")
}

impl Kind {
    fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Staff => &[
                "external_id",
                "name",
                "role",
                "group",
                "head",
                "login",
                "extension",
                "hired_on",
            ],
            Self::Accounts => &[
                "external_id",
                "name",
                "type",
                "phone",
                "email",
                "city",
                "region",
                "address",
                "industry",
                "project",
                "source",
                "owner",
                "registered_at",
                "rubrics",
            ],
            Self::Persons => &[
                "external_id",
                "account",
                "name",
                "position",
                "phone",
                "email",
            ],
            Self::Interactions => &[
                "external_id",
                "account",
                "person",
                "kind",
                "direction",
                "outcome",
                "occurred_at",
                "duration_s",
                "author",
                "summary",
                "impression",
                "note",
            ],
            Self::Orders => &[
                "external_id",
                "account",
                "amount",
                "currency",
                "ordered_at",
                "owner",
            ],
            Self::Shipments => &[
                "external_id",
                "order",
                "shipped_at",
                "amount",
                "currency",
                "quantity",
                "waybill",
                "note",
            ],
            Self::Payments => &[
                "external_id",
                "order",
                "amount",
                "currency",
                "paid_at",
                "reference",
                "note",
            ],
            Self::Deals => &[
                "external_id",
                "account",
                "owner",
                "pipeline",
                "stage",
                "amount",
                "currency",
                "product",
                "opened_at",
                "closed_at",
                "lost_reason",
            ],
            Self::Tasks => &[
                "external_id",
                "account",
                "assignee",
                "kind",
                "due_at",
                "comment",
                "created_at",
                "completed_at",
            ],
        }
    }

    /// What our own exports call columns: in Russian and as here.
    fn titles(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Accounts => &accounts::EXPORT_TITLES,
            Self::Staff
            | Self::Persons
            | Self::Interactions
            | Self::Orders
            | Self::Shipments
            | Self::Payments
            | Self::Deals
            | Self::Tasks => &[],
        }
    }

    fn required(self) -> &'static [&'static str] {
        match self {
            Self::Staff => &["external_id", "name", "role"],
            Self::Accounts => &["name"],
            Self::Persons => &["external_id", "name"],
            Self::Interactions => &["external_id", "account", "kind", "outcome", "occurred_at"],
            Self::Orders => &["external_id", "account", "amount", "currency", "ordered_at"],
            Self::Shipments => &["external_id", "order", "shipped_at"],
            Self::Payments => &["external_id", "order", "amount", "paid_at"],
            Self::Deals => &["external_id", "account", "pipeline", "opened_at"],
            Self::Tasks => &["external_id", "assignee", "kind", "due_at", "comment"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Columns {
        let field = |key: &str, name: &str| Field {
            key: key.into(),
            name: name.to_owned(),
        };
        Columns {
            kind: Kind::Accounts,
            fields: vec![field("inn", "ИНН"), field("size", "Размер сети")],
        }
    }

    #[test]
    fn our_own_exports_are_understood() {
        let columns = columns();
        for (title, name) in [
            ("phone", "phone"),
            ("Телефоны", "phone"),
            (" ВНЕШНИЙ номер ", "external_id"),
            ("E-mail", "email"),
            ("Рубрики", "rubrics"),
        ] {
            assert_eq!(columns.called(title), Some(Column::Common(name)), "{title}");
        }
        for (title, key) in [
            ("inn", "inn"),
            ("ИНН", "inn"),
            ("custom.size", "size"),
            ("Размер сети", "size"),
        ] {
            let custom = Some(Column::Custom(key.into()));
            assert_eq!(columns.called(title), custom, "{title}");
        }
        // Of an export, and nothing that a file decides about.
        for title in ["id", "Статус", "Данные удалены", "custom.region"] {
            assert_eq!(columns.called(title), None, "{title}");
        }
    }

    #[test]
    fn what_is_not_read_is_named() {
        let titles = ["Название", "Вес нетто", "name", "inn", "ИНН"];
        let header = columns().header(&titles.map(ToOwned::to_owned)).unwrap();
        assert_eq!(header.ignored, ["вес_нетто", "name", "инн"]);
        let read = header.columns.iter().flatten().count();
        assert_eq!(read, 2, "each of them once");
    }
}
