//! The list: every filter at once, page by page, in alphabetical order.
//!
//! No single plan is good for every filter. What passes for many companies is found soon when they
//! are read in order; what passes for few is found by its own index and then sorted. So a bounded
//! stretch of the order is tried first, and only what is rare goes on to the indexes.

use std::collections::BTreeMap;

use accounts_domain::field::Value;
use kit::typed::{parts_of_phone, push_word, whole_phone, words};
use serde::Serialize;
use sqlx::{PgPool, Postgres, QueryBuilder, types::Json};
use uuid::Uuid;
use vocabulary::{Outcome, StaffId, fold_for_search};

use super::{Company, accounts_of_phone};

/// How many companies in order are looked at before the indexes are asked. What is not found a page
/// full of among these is less than one in a hundred.
const STRETCH: i64 = 4_000;

/// What to list. Empty text and `None` let everything pass.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Whose companies the caller sees; `None`: all, the pool included.
    pub(crate) seen_owners: Option<Vec<Uuid>>,
    pub(crate) client: Option<bool>,
    pub(crate) query: String,
    pub(crate) owner: Option<StaffId>,
    pub(crate) in_pool: bool,
    pub(crate) city: String,
    pub(crate) region: String,
    pub(crate) kind: String,
    /// Keys of the catalogue.
    pub(crate) status: String,
    pub(crate) source: String,
    pub(crate) extras: Wanted,
    pub(crate) address: String,
    pub(crate) project: String,
    pub(crate) last_outcome: Option<Outcome>,
    /// As typed.
    pub(crate) contact_person: String,
    /// Accounts of those who are called so; `None`: nobody was asked for.
    pub(crate) of_persons: Option<Vec<Uuid>>,
}

/// Of what a card has beside the fields of every card, what must be there: a part of that column.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Wanted {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) rubrics: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) custom: BTreeMap<String, Value<String>>,
}

/// The last row of a page: where its name sorts, and its id.
pub(crate) type PageKey = (String, Uuid);

/// Companies behind `after`, at most `limit`.
pub(crate) async fn page(
    pool: &PgPool,
    filter: &Filter,
    after: Option<PageKey>,
    limit: i64,
) -> Result<Vec<Company>, sqlx::Error> {
    let text = Text::read(pool, &filter.query).await?;
    let after = after.as_ref();
    if !filter.names_owners() || filter.names_owners_only() {
        let found = fetch(pool, in_order(filter, &text, after, limit)).await?;
        if found.len() as i64 >= limit {
            return Ok(found);
        }
    }
    fetch(pool, by_index(filter, &text, after, limit)).await
}

/// How many companies there are on all pages.
pub(crate) async fn count(pool: &PgPool, filter: &Filter) -> Result<i64, sqlx::Error> {
    let text = Text::read(pool, &filter.query).await?;
    let mut query =
        QueryBuilder::new("select count(*) from companies.companies where merged_into is null");
    filter.push_owners(&mut query);
    filter.push_rest(&mut query, &text);
    query
        .build_query_scalar()
        .persistent(false)
        .fetch_one(pool)
        .await
}

/// All that pass, in order.
pub(crate) async fn ids(pool: &PgPool, filter: &Filter) -> Result<Vec<Uuid>, sqlx::Error> {
    let text = Text::read(pool, &filter.query).await?;
    let mut query =
        QueryBuilder::new("select account_id from companies.companies where merged_into is null");
    filter.push_owners(&mut query);
    filter.push_rest(&mut query, &text);
    query.push(" order by name_sort, account_id");
    query
        .build_query_scalar()
        .persistent(false)
        .fetch_all(pool)
        .await
}

/// These companies, in this order; `seen_owners`: only theirs.
pub(crate) async fn of_ids(
    pool: &PgPool,
    ids: &[Uuid],
    seen_owners: Option<&[Uuid]>,
) -> Result<Vec<Company>, sqlx::Error> {
    let rows: Vec<Json<Company>> = sqlx::query_scalar(
        "select to_jsonb(c)
         from unnest($1::uuid[]) with ordinality as wanted (account_id, place)
         join companies.companies c using (account_id)
         where $2::uuid[] is null or c.owner_id = any($2)
         order by place",
    )
    .bind(ids)
    .bind(seen_owners)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|Json(company)| company).collect())
}

async fn fetch(
    pool: &PgPool,
    mut query: QueryBuilder<Postgres>,
) -> Result<Vec<Company>, sqlx::Error> {
    let rows: Vec<Json<Company>> = query
        .build_query_scalar()
        // A plan made for any pattern and any owner fits none.
        .persistent(false)
        .fetch_all(pool)
        .await?;
    Ok(rows.into_iter().map(|Json(company)| company).collect())
}

fn in_order(
    filter: &Filter,
    text: &Text,
    after: Option<&PageKey>,
    limit: i64,
) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        "select to_jsonb(c) from (select * from companies.companies where merged_into is null",
    );
    filter.push_owners(&mut query);
    push_after(&mut query, after);
    query.push(" order by name_sort, account_id limit ");
    query.push_bind(STRETCH).push(") c where true");
    filter.push_rest(&mut query, text);
    query.push(" order by name_sort, account_id limit ");
    query.push_bind(limit);
    query
}

fn by_index(
    filter: &Filter,
    text: &Text,
    after: Option<&PageKey>,
    limit: i64,
) -> QueryBuilder<Postgres> {
    // Materialised, so that the order does not tempt the planner to read everything in order.
    let mut query = QueryBuilder::new(
        "with found as materialized (
             select account_id, name_sort from companies.companies where merged_into is null",
    );
    filter.push_owners(&mut query);
    filter.push_rest(&mut query, text);
    push_after(&mut query, after);
    query.push(
        ") select to_jsonb(c)
         from (select account_id from found order by name_sort, account_id limit ",
    );
    query.push_bind(limit).push(
        ") f join companies.companies c using (account_id) order by c.name_sort, c.account_id",
    );
    query
}

fn push_after(query: &mut QueryBuilder<Postgres>, after: Option<&PageKey>) {
    if let Some((name_sort, id)) = after {
        query.push(" and (name_sort, account_id) > (");
        query.push_bind(name_sort.clone()).push("::text::bytea, ");
        query.push_bind(*id).push(")");
    }
}

impl Filter {
    fn names_owners(&self) -> bool {
        self.seen_owners.is_some() || self.owner.is_some()
    }

    fn names_owners_only(&self) -> bool {
        let texts = [
            &self.query,
            &self.city,
            &self.region,
            &self.kind,
            &self.status,
            &self.source,
            &self.address,
            &self.project,
        ];
        self.client.is_none()
            && self.last_outcome.is_none()
            && self.of_persons.is_none()
            && self.extras == Wanted::default()
            && texts.iter().all(|text| text.trim().is_empty())
    }

    /// What the index that gives the order knows.
    fn push_owners(&self, query: &mut QueryBuilder<Postgres>) {
        match self.seen_owners.as_deref() {
            None => {}
            // Equality keeps the order of the index, `any` does not.
            Some([owner]) => {
                query.push(" and owner_id = ").push_bind(*owner);
            }
            Some(owners) => {
                query.push(" and owner_id = any(");
                query.push_bind(owners.to_vec()).push(")");
            }
        }
        if let Some(owner) = self.owner {
            query.push(" and owner_id = ").push_bind(owner.0);
        }
        if self.in_pool {
            query.push(" and owner_id is null");
        }
    }

    fn push_rest(&self, query: &mut QueryBuilder<Postgres>, text: &Text) {
        if let Some(client) = self.client {
            query.push(" and client = ").push_bind(client);
        }
        for (column, text) in [
            ("city_folded", &self.city),
            ("region_folded", &self.region),
            ("kind_folded", &self.kind),
        ] {
            if !text.trim().is_empty() {
                query.push(format_args!(" and {column} = "));
                query.push_bind(fold_for_search(text));
            }
        }
        for (column, key) in [("status", &self.status), ("source", &self.source)] {
            if !key.is_empty() {
                query.push(format_args!(" and {column} = "));
                query.push_bind(key.clone());
            }
        }
        if self.extras != Wanted::default() {
            query.push(" and extras @> ");
            query.push_bind(Json(self.extras.clone()));
        }
        for (column, text) in [
            ("address_words", &self.address),
            ("project_words", &self.project),
        ] {
            for word in words(text) {
                // What is in one of them is in all of them, and that has the indexes.
                push_word(query, "words", Some("forms"), &word);
                push_word(
                    query,
                    column,
                    Some(&format!("to_tsvector('russian', {column})")),
                    &word,
                );
            }
        }
        if let Some(outcome) = self.last_outcome {
            query.push(
                " and account_id in (select account_id from contacted.contacted where last_outcome = ",
            );
            query.push_bind(outcome.as_str()).push(")");
        }
        if let Some(accounts) = &self.of_persons {
            query.push(" and account_id = any(");
            query.push_bind(accounts.clone()).push(")");
        }
        text.push(query);
    }
}

/// What somebody typed to find a company.
#[derive(Debug, PartialEq)]
enum Text {
    Anything,
    /// Nothing but punctuation: no name has it where names are compared.
    Nothing,
    /// A whole phone, and whose it is.
    Phone(Vec<Uuid>),
    Parts {
        /// Each is a part or another form of a word of the card.
        words: Vec<String>,
        /// Or one of these is a part of a phone.
        digits: Vec<String>,
        /// Or something that was merged into one of these is meant.
        survivors: Vec<Uuid>,
    },
}

impl Text {
    async fn read(pool: &PgPool, query: &str) -> Result<Self, sqlx::Error> {
        if let Some(phone) = whole_phone(query) {
            let accounts = accounts_of_phone(pool, &phone).await?;
            if !accounts.is_empty() {
                return Ok(Self::Phone(accounts));
            }
        }
        let mut text = Self::parts(query);
        text.find_survivors(pool).await?;
        Ok(text)
    }

    /// What was merged is in no list; what it was merged into is found by its words and numbers, too.
    async fn find_survivors(&mut self, pool: &PgPool) -> Result<(), sqlx::Error> {
        if !matches!(self, Self::Parts { .. }) {
            return Ok(());
        }
        let mut query = QueryBuilder::new(
            "with recursive found (id) as (
                 select merged_into from companies.companies where merged_into is not null",
        );
        self.push(&mut query);
        query.push(
            " union
                 select merged_into from found join companies.companies on account_id = id
                 where merged_into is not null
             )
             select id from found",
        );
        let found = query.build_query_scalar().persistent(false);
        let found = found.fetch_all(pool).await?;
        if let Self::Parts { survivors, .. } = self {
            *survivors = found;
        }
        Ok(())
    }

    fn parts(query: &str) -> Self {
        let folded = fold_for_search(query);
        if query.trim().is_empty() {
            Self::Anything
        } else if folded.is_empty() {
            Self::Nothing
        } else {
            Self::Parts {
                words: words(query),
                digits: parts_of_phone(query),
                survivors: Vec::new(),
            }
        }
    }

    fn push(&self, query: &mut QueryBuilder<Postgres>) {
        match self {
            Self::Anything => {}
            Self::Nothing => {
                query.push(" and false");
            }
            Self::Phone(accounts) => {
                query.push(" and account_id = any(");
                query.push_bind(accounts.clone()).push(")");
            }
            Self::Parts {
                words,
                digits,
                survivors,
            } => {
                query.push(" and ((true");
                for word in words {
                    push_word(query, "words", Some("forms"), word);
                }
                query.push(")");
                for digits in digits {
                    query.push(" or phone_digits like ");
                    query.push_bind(format!("%{digits}%"));
                }
                if !survivors.is_empty() {
                    query.push(" or account_id = any(");
                    query.push_bind(survivors.clone()).push(")");
                }
                query.push(")");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_people_mean() {
        assert_eq!(Text::parts("  "), Text::Anything);
        assert_eq!(Text::parts("«»%"), Text::Nothing);
        let words = vec!["вектор".to_owned(), "строй".to_owned()];
        let (digits, survivors) = Default::default();
        assert_eq!(
            Text::parts("Вектор-СТРОЙ"),
            Text::Parts {
                words,
                digits,
                survivors
            }
        );
    }

    #[test]
    fn conditions_of_every_filter() {
        let filter = Filter {
            seen_owners: Some(vec![Uuid::nil(), Uuid::max()]),
            client: Some(true),
            query: "вектор строй".to_owned(),
            in_pool: true,
            city: "Миасс".to_owned(),
            source: "cold_call".to_owned(),
            extras: Wanted {
                rubrics: vec!["dealers".to_owned()],
                ..Wanted::default()
            },
            ..Filter::default()
        };
        let mut query = QueryBuilder::new("");
        filter.push_owners(&mut query);
        filter.push_rest(&mut query, &Text::parts(&filter.query));
        assert_eq!(
            query.sql().as_str(),
            " and owner_id = any($1) and owner_id is null and client = $2 and city_folded = $3 \
             and source = $4 and extras @> $5 \
             and ((true and (words like $6 or forms @@ plainto_tsquery('russian', $7)) \
             and (words like $8 or forms @@ plainto_tsquery('russian', $9))))"
        );
    }
}
