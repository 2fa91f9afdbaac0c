//! What people see: tables that fit the terminal, machine formats, errors in words.

use std::io::{self, IsTerminal, Write};

use anyhow::Context;
use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};

/// How an answer is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For spreadsheets: UTF-8, commas, a header line.
    Csv,
    /// For programs: an array of objects.
    Json,
}

/// A table with named columns; `number` columns are aligned right.
pub(crate) struct Rows {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

pub(crate) struct Column {
    /// For people.
    pub title: &'static str,
    /// For machines; permanent.
    pub name: &'static str,
    pub number: bool,
}

impl Rows {
    pub(crate) fn new(columns: Vec<Column>) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    pub(crate) fn print(&self, format: Format) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        match format {
            Format::Table => writeln!(out, "{}", self.table())?,
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(out);
                writer.write_record(self.columns.iter().map(|column| column.name))?;
                for row in &self.rows {
                    writer.write_record(row.iter().map(|cell| harmless(cell)))?;
                }
                writer.flush()?;
            }
            Format::Json => {
                let objects: Vec<serde_json::Map<String, serde_json::Value>> =
                    self.rows.iter().map(|row| self.object(row)).collect();
                serde_json::to_writer_pretty(&mut out, &objects)?;
                writeln!(out)?;
            }
        }
        Ok(())
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table
            .load_style(presets::UTF8_HORIZONTAL_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic);
        if !io::stdout().is_terminal() {
            table.set_width(120);
        }
        table.set_header(self.columns.iter().map(|column| column.title));
        for (index, column) in self.columns.iter().enumerate() {
            if column.number
                && let Some(column) = table.column_mut(index)
            {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.add_rows(&self.rows);
        table
    }

    fn object(&self, row: &[String]) -> serde_json::Map<String, serde_json::Value> {
        self.columns
            .iter()
            .zip(row)
            .map(|(column, cell)| {
                let value = match cell.parse::<i64>() {
                    Ok(number) if column.number => number.into(),
                    _ if cell.is_empty() && column.number => serde_json::Value::Null,
                    _ => cell.as_str().into(),
                };
                (column.name.to_owned(), value)
            })
            .collect()
    }
}

/// A cell that a spreadsheet would run as a formula gets a leading quote.
fn harmless(cell: &str) -> String {
    let number = cell.parse::<f64>().is_ok();
    match cell.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') if !number => format!("'{cell}"),
        _ => cell.to_owned(),
    }
}

/// How far long work has come, by what is counted; shows nothing when nobody looks.
pub(crate) fn progress(of: &str) -> anyhow::Result<ProgressBar> {
    let template =
        format!("{{bar:40}} {{human_pos}}/{{human_len}} {of}  {{per_sec}}  {{eta}} left  {{msg}}");
    let style = ProgressStyle::with_template(&template).context("a template of ours")?;
    Ok(ProgressBar::no_length().with_style(style))
}

pub(crate) fn text(title: &'static str, name: &'static str) -> Column {
    Column {
        title,
        name,
        number: false,
    }
}

pub(crate) fn number(title: &'static str, name: &'static str) -> Column {
    Column {
        title,
        name,
        number: true,
    }
}

/// The error and what led to it, once, without noise.
pub(crate) fn error(error: &anyhow::Error) {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    eprintln!("error: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreadsheets_run_nothing() {
        assert_eq!(harmless("=cmd()"), "'=cmd()");
        assert_eq!(harmless("+79000000115 x"), "'+79000000115 x");
        assert_eq!(harmless("-5"), "-5");
        assert_eq!(harmless("ООО"), "ООО");
    }
}
