//! A table out of a file: its encoding, its delimiter, its columns.

use std::{borrow::Cow, collections::HashMap, io::Cursor, path::Path, sync::Arc};

use anyhow::{Context, bail};
use api::common::{RowResult, Violation, row_result};
use calamine::{Data, Reader, open_workbook_auto_from_rs};
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::Encoding;

use super::columns::{Column, Columns, Header};

/// Rows of a file whose header was understood.
pub(crate) struct Table {
    pub rows: Vec<TableRow>,
    /// Rows that are no rows: they never reach the office.
    pub broken: Vec<RowResult>,
    /// Columns that mean nothing here.
    pub ignored: Vec<String>,
}

/// One row under its header.
#[derive(Debug)]
pub(crate) struct TableRow {
    /// Line of a CSV file or row of a sheet, the header being 1.
    pub number: i64,
    cells: HashMap<&'static str, String>,
    /// Of fields of the office, by key; none is empty.
    custom: Vec<(Arc<str>, String)>,
}

impl TableRow {
    /// Empty when the column is absent.
    pub(crate) fn cell(&self, column: &str) -> String {
        self.cells.get(column).cloned().unwrap_or_default()
    }

    pub(crate) fn custom(&self) -> impl Iterator<Item = (&str, &str)> {
        self.custom.iter().map(|(key, cell)| (&**key, &**cell))
    }
}

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

impl Table {
    /// Refuses, naming what is missing, a file whose first line does not name the columns.
    pub(crate) fn read(path: &Path, bytes: &[u8], columns: &Columns) -> anyhow::Result<Self> {
        let workbook = path.extension().is_some_and(|extension| {
            ["xlsx", "xls", "xlsb", "ods"]
                .iter()
                .any(|known| extension.eq_ignore_ascii_case(known))
        });
        if workbook || bytes.starts_with(b"PK\x03\x04") {
            return Self::read_workbook(bytes, columns);
        }
        let text = decode(bytes)?;
        let delimiter = delimiter(&text, columns);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes());
        let mut records = reader.records();
        let header = match records.next() {
            Some(header) => header.context("the first line cannot be read")?,
            None => bail!("the file is empty"),
        };
        let header: Vec<String> = header.iter().map(ToOwned::to_owned).collect();
        let Header { columns, ignored } = columns.header(&header)?;
        let mut table = Self::empty(ignored);
        for (index, record) in records.enumerate() {
            let next = index as i64 + 2;
            match record {
                Ok(record) => {
                    let number = record
                        .position()
                        .map_or(next, |position| position.line() as i64);
                    table.add(
                        number,
                        &record.iter().map(ToOwned::to_owned).collect::<Vec<_>>(),
                        &columns,
                    );
                }
                Err(_) => table.broken.push(rejected(next, "row", "cannot be read")),
            }
        }
        Ok(table)
    }

    fn read_workbook(bytes: &[u8], columns: &Columns) -> anyhow::Result<Self> {
        let mut workbook = open_workbook_auto_from_rs(Cursor::new(bytes))
            .context("the workbook cannot be opened")?;
        let sheet = workbook
            .worksheet_range_at(0)
            .context("the workbook has no sheet")?
            .context("the first sheet cannot be read")?;
        let mut rows = sheet.rows();
        let header: Vec<String> = rows
            .next()
            .context("the first sheet is empty")?
            .iter()
            .map(cell)
            .collect();
        let Header { columns, ignored } = columns.header(&header)?;
        let mut table = Self::empty(ignored);
        for (index, row) in rows.enumerate() {
            let cells: Vec<String> = row.iter().map(cell).collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                table.add(index as i64 + 2, &cells, &columns);
            }
        }
        Ok(table)
    }

    fn empty(ignored: Vec<String>) -> Self {
        Self {
            rows: Vec::new(),
            broken: Vec::new(),
            ignored,
        }
    }

    fn add(&mut self, number: i64, cells: &[String], columns: &[Option<Column>]) {
        if cells.len() != columns.len() {
            let what = format!(
                "has {} fields where the first line has {}",
                cells.len(),
                columns.len()
            );
            self.broken.push(rejected(number, "row", &what));
            return;
        }
        let mut row = TableRow {
            number,
            cells: HashMap::new(),
            custom: Vec::new(),
        };
        for (column, cell) in columns.iter().zip(cells) {
            let cell = unquoted(cell.trim());
            match column {
                Some(Column::Common(name)) => {
                    row.cells.insert(*name, cell.to_owned());
                }
                Some(Column::Custom(key)) if !cell.is_empty() => {
                    row.custom.push((Arc::clone(key), cell.to_owned()));
                }
                Some(Column::Custom(_)) | None => {}
            }
        }
        self.rows.push(row);
    }
}

/// Without the quote that an export puts before what a spreadsheet would take for a formula.
fn unquoted(cell: &str) -> &str {
    let bare = cell.strip_prefix('\'');
    bare.filter(|bare| bare.starts_with(['=', '+', '-', '@']))
        .unwrap_or(cell)
}

fn rejected(row: i64, field: &str, description: &str) -> RowResult {
    RowResult {
        row,
        outcome: row_result::Outcome::Rejected.into(),
        id: String::new(),
        violations: vec![Violation {
            field: field.to_owned(),
            description: description.to_owned(),
            reason: "ROW_UNREADABLE".to_owned(),
        }],
        owner: String::new(),
    }
}

fn cell(data: &Data) -> String {
    match data {
        Data::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
            format!("{number:.0}")
        }
        Data::DateTime(moment) => moment.as_datetime().map_or_else(
            || data.to_string(),
            |moment| moment.format("%Y-%m-%d %H:%M:%S").to_string(),
        ),
        _ => data.to_string(),
    }
}

/// UTF-8 or UTF-16 by mark or by shape, else what it most likely is, which for Russian offices is
/// Windows-1251.
fn decode(bytes: &[u8]) -> anyhow::Result<Cow<'_, str>> {
    let text = if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        encoding.decode_without_bom_handling(&bytes[mark..]).0
    } else if let Some(encoding) = utf16_without_mark(bytes) {
        // Before UTF-8: Cyrillic in UTF-16 is made of bytes that are valid UTF-8 too.
        encoding.decode_without_bom_handling(bytes).0
    } else if let Ok(text) = std::str::from_utf8(bytes) {
        Cow::Borrowed(text)
    } else {
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        detector.feed(bytes, true);
        detector
            .guess(Some(b"ru"), Utf8Detection::Deny)
            .decode_without_bom_handling(bytes)
            .0
    };
    let strange = text
        .chars()
        .take(4_096)
        .filter(|c| c.is_control() && !matches!(c, '\r' | '\n' | '\t'))
        .count();
    if strange > 0 {
        bail!("it is not a table in text form");
    }
    Ok(text)
}

fn utf16_without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = &bytes[..bytes.len().min(512)];
    let zeros = |offset: usize| {
        sample
            .iter()
            .skip(offset)
            .step_by(2)
            .filter(|byte| **byte == 0)
            .count()
    };
    let half = sample.len() / 2;
    if half == 0 {
        None
    } else if zeros(1) * 10 > half * 4 && zeros(0) == 0 {
        Some(encoding_rs::UTF_16LE)
    } else if zeros(0) * 10 > half * 4 && zeros(1) == 0 {
        Some(encoding_rs::UTF_16BE)
    } else {
        None
    }
}

/// The delimiter under which the first line names the most columns.
fn delimiter(text: &str, columns: &Columns) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    let known_under = |delimiter: u8| {
        header
            .split(delimiter as char)
            .filter(|title| columns.called(title.trim_matches('"')).is_some())
            .count()
    };
    DELIMITERS
        .into_iter()
        .rev()
        .max_by_key(|delimiter| known_under(*delimiter))
        .unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::{super::Kind, *};

    const RUSSIAN: &str = "external_id;name;role\r\ns-11;Петров Алексей;manager\r\ns-12;\"Смирнова; Ольга\";manager\r\n";

    fn read(bytes: &[u8]) -> anyhow::Result<Table> {
        Table::read(Path::new("staff.csv"), bytes, &Columns::common(Kind::Staff))
    }

    #[test]
    fn every_usual_encoding_reads_the_same() {
        let utf16: Vec<u8> = RUSSIAN.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let with_mark: Vec<u8> = [0xff, 0xfe].into_iter().chain(utf16.clone()).collect();
        let windows_1251 = encoding_rs::WINDOWS_1251.encode(RUSSIAN).0.into_owned();
        let bom = format!("\u{feff}{RUSSIAN}").into_bytes();
        for bytes in [
            RUSSIAN.as_bytes().to_vec(),
            bom,
            utf16,
            with_mark,
            windows_1251,
        ] {
            let table = read(&bytes).unwrap();
            let names: Vec<String> = table.rows.iter().map(|row| row.cell("name")).collect();
            assert_eq!(names, ["Петров Алексей", "Смирнова; Ольга"]);
        }
    }

    #[test]
    fn a_broken_row_is_named_and_the_others_stay() {
        let table = read(b"external_id,name,role\na,b\nc,d,manager\n").unwrap();
        assert_eq!(table.rows.len(), 1);
        assert_eq!(table.broken[0].row, 2);
        assert_eq!(
            table.broken[0].violations[0].description,
            "has 2 fields where the first line has 3"
        );
    }

    #[test]
    fn what_is_no_table_is_refused_in_words() {
        let garbage: Vec<u8> = (0..10_000_000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        assert!(read(&garbage).is_err());
        let error = read(b"one,two\n1,2\n").err().unwrap().to_string();
        assert!(error.contains("external_id,name,role"), "{error}");
        let error = read(b"external_id,name\n1,2\n").err().unwrap().to_string();
        assert!(error.contains("lacks the columns role"), "{error}");
        assert!(read(b"").is_err());
    }
}
