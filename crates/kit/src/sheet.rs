//! Lists as files for spreadsheets. Nothing in them is ever executed there.

use std::{collections::BTreeMap, future::Future};

use api::common::Position;
use csv::{Terminator, WriterBuilder};
use rust_xlsxwriter::{Workbook, Worksheet, XlsxError};
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use crate::{AppError, CardsExported, Ctx, Export, ExportEvent, Sender, Service, StreamEnd};

/// Without it Excel takes a file for one of the code page of its country.
const UTF8_MARK: &str = "\u{feff}";

/// A workbook is made in memory; of these rows it takes some hundred megabytes.
const MOST_XLSX_ROWS: usize = 100_000;

/// Of them so many at once in a process.
static WORKBOOKS: Semaphore = Semaphore::const_new(2);

/// Rows that are read at a time, and sent in one part.
const PART_ROWS: usize = 500;
const PART_BYTES: usize = 512 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SheetFormat {
    /// UTF-8 with its mark.
    Csv,
    /// Excel 2007 and later; every cell is a text.
    Xlsx,
}

/// Who reads it: spreadsheets take a semicolon between the cells in Russian, a comma in English.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SheetLanguage {
    Russian,
    English,
}

/// A file that is being written, handed out in parts.
enum Sheet {
    Csv {
        delimiter: u8,
    },
    Xlsx {
        worksheet: Box<Worksheet>,
        rows: u32,
    },
}

impl SheetFormat {
    fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
        }
    }
}

impl Sheet {
    fn new(format: SheetFormat, language: SheetLanguage) -> Self {
        match format {
            SheetFormat::Csv => Self::Csv {
                delimiter: match language {
                    SheetLanguage::Russian => b';',
                    SheetLanguage::English => b',',
                },
            },
            SheetFormat::Xlsx => Self::Xlsx {
                worksheet: Box::default(),
                rows: 0,
            },
        }
    }

    /// The first row, and what of the file is ready with it.
    fn header(&mut self, titles: &[&str]) -> Result<Vec<u8>, AppError> {
        let titles = titles.iter().map(|title| (*title).to_owned()).collect();
        let row = self.rows(&[titles])?;
        Ok(match self {
            Self::Csv { .. } => [UTF8_MARK.as_bytes(), &row].concat(),
            Self::Xlsx { worksheet, .. } => {
                worksheet.set_freeze_panes(1, 0).map_err(unwritable)?;
                row
            }
        })
    }

    /// Further rows, and what of the file is ready with them: of a workbook nothing.
    fn rows(&mut self, rows: &[Vec<String>]) -> Result<Vec<u8>, AppError> {
        match self {
            Self::Csv { delimiter } => {
                let mut writer = WriterBuilder::new()
                    .delimiter(*delimiter)
                    .terminator(Terminator::CRLF)
                    .from_writer(Vec::new());
                for row in rows {
                    let cells = row.iter().map(|cell| harmless(cell));
                    writer.write_record(cells).map_err(unwritable)?;
                }
                writer.into_inner().map_err(unwritable)
            }
            Self::Xlsx {
                worksheet,
                rows: written,
            } => {
                for row in rows {
                    write_texts(worksheet, *written, row).map_err(unwritable)?;
                    *written += 1;
                }
                Ok(Vec::new())
            }
        }
    }

    /// The rest of the file.
    async fn finish(self) -> Result<Vec<u8>, AppError> {
        match self {
            Self::Csv { .. } => Ok(Vec::new()),
            Self::Xlsx { worksheet, .. } => {
                // Compressing takes seconds, which nobody else should wait.
                let packed = tokio::task::spawn_blocking(move || {
                    let mut workbook = Workbook::new();
                    workbook.push_worksheet(*worksheet);
                    workbook.save_to_buffer()
                });
                packed.await.map_err(unwritable)?.map_err(unwritable)
            }
        }
    }
}

/// As texts: a workbook keeps formulas apart from them, so these are never one.
fn write_texts(worksheet: &mut Worksheet, row: u32, cells: &[String]) -> Result<(), XlsxError> {
    for (column, cell) in (0_u16..).zip(cells) {
        worksheet.write_string(row, column, cell)?;
    }
    Ok(())
}

/// What a spreadsheet would take for a formula gets a quote before it, which an import takes off.
fn harmless(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

fn unwritable(error: impl std::error::Error) -> AppError {
    AppError::Internal(format!("a file for spreadsheets: {error}"))
}

/// Cards that may leave the office: that they do is on record.
pub struct CardList {
    pub format: SheetFormat,
    pub language: SheetLanguage,
    /// Which, in the order of the rows.
    pub ids: Vec<Uuid>,
    record: Position,
    /// Room for a workbook until it has been sent.
    _room: Option<SemaphorePermit<'static>>,
}

/// A part of a file, in the words of the contract.
#[derive(Debug, Default)]
pub struct SheetPart {
    /// Of the whole file; only in the first part.
    pub rows: i64,
    /// Where the export is recorded; only in the first part.
    pub record: Option<Position>,
    pub bytes: Vec<u8>,
    /// Rows so far.
    pub done: i64,
}

impl CardList {
    /// Records who is about to take what. `filter`: what the cards were chosen by, without what
    /// somebody typed: that may be a name or a telephone.
    pub async fn record(
        service: &Service,
        ctx: &Ctx,
        what: &str,
        (format, language): (SheetFormat, SheetLanguage),
        filter: BTreeMap<String, String>,
        ids: Vec<Uuid>,
    ) -> Result<Self, AppError> {
        if format == SheetFormat::Xlsx && ids.len() > MOST_XLSX_ROWS {
            return Err(AppError::precondition(
                "EXPORT_TOO_LARGE",
                format!("a workbook takes at most {MOST_XLSX_ROWS} rows"),
            ));
        }
        let room = match format {
            SheetFormat::Csv => None,
            SheetFormat::Xlsx => {
                let room = WORKBOOKS.try_acquire().map_err(|_| AppError::Exhausted {
                    reason: "WORKBOOKS_BUSY",
                    message: "too many workbooks are being made",
                });
                Some(room?)
            }
        };
        let exported = ExportEvent::CardsExported(CardsExported {
            what: what.to_owned(),
            format: format.as_str().to_owned(),
            rows: ids.len() as u64,
            filter,
        });
        let context = ctx.command();
        let recorded = service
            .log
            .execute_new::<Export>(&context, ctx.new_id(), exported);
        Ok(Self {
            format,
            language,
            ids,
            record: service.position(recorded.await?.position),
            _room: room,
        })
    }

    /// Hands the file out part by part. `read`: the rows of some of the cards.
    pub async fn send<T, R>(
        self,
        sender: &Sender<T>,
        titles: &[&str],
        read: impl Fn(Vec<Uuid>) -> R,
        message: impl Fn(SheetPart) -> T,
    ) -> Result<(), StreamEnd>
    where
        R: Future<Output = Result<Vec<Vec<String>>, AppError>>,
    {
        let mut sheet = Sheet::new(self.format, self.language);
        let first = SheetPart {
            rows: self.ids.len() as i64,
            record: Some(self.record),
            bytes: sheet.header(titles)?,
            done: 0,
        };
        sender.send(message(first)).await?;
        let mut done = 0;
        let part = |bytes, done| {
            message(SheetPart {
                bytes,
                done,
                ..SheetPart::default()
            })
        };
        for ids in self.ids.chunks(PART_ROWS) {
            let rows = read(ids.to_vec()).await?;
            done += rows.len() as i64;
            sender.send(part(sheet.rows(&rows)?, done)).await?;
        }
        for bytes in sheet.finish().await?.chunks(PART_BYTES) {
            sender.send(part(bytes.to_vec(), done)).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: SheetFormat, language: SheetLanguage) -> (Sheet, Vec<u8>) {
        let mut sheet = Sheet::new(format, language);
        let mut file = sheet.header(&["имя", "телефон"]).unwrap();
        let rows = [
            vec!["ООО «Вектор; Строй»".to_owned(), "+79000000555".to_owned()],
            vec!["=HYPERLINK(\"http://x\")".to_owned(), "@x".to_owned()],
            vec!["-1".to_owned(), "\t=1".to_owned()],
        ];
        file.extend(sheet.rows(&rows).unwrap());
        (sheet, file)
    }

    #[tokio::test]
    async fn nothing_in_a_text_file_is_executed() {
        let (sheet, file) = written(SheetFormat::Csv, SheetLanguage::Russian);
        assert!(sheet.finish().await.unwrap().is_empty());
        let text = String::from_utf8(file).unwrap();
        let expected = "\u{feff}имя;телефон\r\n\"ООО «Вектор; Строй»\";'+79000000555\r\n\
                        \"'=HYPERLINK(\"\"http://x\"\")\";'@x\r\n'-1;'\t=1\r\n";
        assert_eq!(text, expected);
        let (_, english) = written(SheetFormat::Csv, SheetLanguage::English);
        assert!(String::from_utf8(english).unwrap().contains("имя,телефон"));
    }

    #[tokio::test]
    async fn a_workbook_comes_at_its_end() {
        let (sheet, file) = written(SheetFormat::Xlsx, SheetLanguage::Russian);
        assert!(file.is_empty());
        let packed = sheet.finish().await.unwrap();
        assert!(packed.starts_with(b"PK"), "a ZIP archive");
    }
}
