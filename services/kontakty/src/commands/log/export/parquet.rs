//! Apache Parquet. Every row group is a file of its own at first, because a Parquet file without its
//! end cannot be read; at the end they are put together without being encoded again.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use parquet::{
    basic::Compression,
    column::writer::ColumnCloseResult,
    data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type},
    file::{
        metadata::{KeyValue, ParquetMetaDataReader},
        properties::{WriterProperties, WriterPropertiesPtr},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::{parser::parse_message_type, types::TypePtr},
};

use super::order::{Order, Work, create};
use crate::commands::log::row::Row;

const SCHEMA: &str = "
    message event {
        required int64 position;
        required binary event_id (UTF8);
        required binary stream (UTF8);
        required int64 version;
        required binary type (UTF8);
        required int32 schema_version;
        required int64 occurred_at (TIMESTAMP(MICROS, true));
        required int64 recorded_at (TIMESTAMP(MICROS, true));
        optional binary request_id (UTF8);
        required binary metadata (UTF8);
        required binary payload (UTF8);
        required binary hash (UTF8);
    }";

/// A row group of few large events is cut here, for the sake of memory.
const GROUP_BYTES: usize = 32 << 20;

pub(super) struct Groups {
    folder: PathBuf,
    schema: TypePtr,
    properties: WriterPropertiesPtr,
    group_rows: usize,
    /// The last position in a whole row group.
    last: i64,
    /// Whole row groups.
    whole: usize,
    columns: Columns,
}

/// The rows of the next row group.
#[derive(Default)]
struct Columns {
    position: Vec<i64>,
    event_id: Vec<ByteArray>,
    stream: Vec<ByteArray>,
    version: Vec<i64>,
    event_type: Vec<ByteArray>,
    schema_version: Vec<i32>,
    occurred_at: Vec<i64>,
    recorded_at: Vec<i64>,
    /// Only those that there are.
    request_id: Vec<ByteArray>,
    has_request_id: Vec<i16>,
    metadata: Vec<ByteArray>,
    payload: Vec<ByteArray>,
    hash: Vec<ByteArray>,
    bytes: usize,
}

impl Groups {
    pub(super) fn open(work: &Work) -> anyhow::Result<Self> {
        let mut groups = Self {
            folder: work.folder.clone(),
            schema: Arc::new(parse_message_type(SCHEMA)?),
            properties: properties(&work.order),
            group_rows: work.order.group_rows as usize,
            last: work.order.from - 1,
            whole: 0,
            columns: Columns::default(),
        };
        while groups.group(groups.whole).exists() {
            let file = fs::File::open(groups.group(groups.whole))?;
            let metadata = ParquetMetaDataReader::new().parse_and_finish(&file)?;
            groups.last += metadata.file_metadata().num_rows();
            groups.whole += 1;
        }
        Ok(groups)
    }

    pub(super) fn last(&self) -> i64 {
        self.last
    }

    fn group(&self, index: usize) -> PathBuf {
        self.folder.join(format!("{index:06}.parquet"))
    }

    pub(super) fn write(&mut self, row: &Row<'_>) -> anyhow::Result<()> {
        self.columns.push(row);
        if self.columns.position.len() == self.group_rows || self.columns.bytes >= GROUP_BYTES {
            self.end_group()?;
        }
        Ok(())
    }

    /// There at once and as a whole.
    fn end_group(&mut self) -> anyhow::Result<()> {
        let draft = self.folder.join("group.draft");
        let _ = fs::remove_file(&draft);
        let columns = std::mem::take(&mut self.columns);
        self.last += columns.position.len() as i64;
        let mut file = self.file(&draft)?;
        let mut group = file.next_row_group()?;
        columns.write(&mut group)?;
        group.close()?;
        file.into_inner()?.sync_all()?;
        fs::rename(&draft, self.group(self.whole))?;
        self.whole += 1;
        Ok(())
    }

    fn file(&self, path: &Path) -> anyhow::Result<SerializedFileWriter<fs::File>> {
        let (schema, properties) = (self.schema.clone(), self.properties.clone());
        Ok(SerializedFileWriter::new(
            create(path)?,
            schema,
            properties,
        )?)
    }

    pub(super) fn finish(mut self) -> anyhow::Result<PathBuf> {
        if !self.columns.position.is_empty() {
            self.end_group()?;
        }
        let path = self.folder.join("joined.draft");
        let _ = fs::remove_file(&path);
        let mut joined = self.file(&path)?;
        for index in 0..self.whole {
            append(&mut joined, &self.group(index))?;
        }
        joined.into_inner()?.sync_all()?;
        Ok(path)
    }
}

fn properties(order: &Order) -> WriterPropertiesPtr {
    let notes = [
        ("kontakty.service", order.service.clone()),
        ("kontakty.epoch", order.epoch.clone()),
        ("kontakty.from", order.from.to_string()),
        ("kontakty.to", order.to.to_string()),
        ("kontakty.personal", order.personal.to_string()),
    ];
    let notes = notes.map(|(key, value)| KeyValue::new(key.to_owned(), value));
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_key_value_metadata(Some(notes.into()));
    Arc::new(properties.build())
}

fn append(to: &mut SerializedFileWriter<fs::File>, path: &Path) -> anyhow::Result<()> {
    let file = fs::File::open(path)?;
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&file)?;
    for group in metadata.row_groups() {
        let mut copy = to.next_row_group()?;
        for column in group.columns() {
            let close = ColumnCloseResult {
                bytes_written: column.compressed_size() as u64,
                rows_written: group.num_rows() as u64,
                metadata: column.clone(),
                bloom_filter: None,
                column_index: None,
                offset_index: None,
            };
            copy.append_column(&file, close)?;
        }
        copy.close()?;
    }
    Ok(())
}

impl Columns {
    fn push(&mut self, row: &Row<'_>) {
        let text = |text: &str| ByteArray::from(text);
        self.bytes += row.metadata.get().len() + row.payload.get().len();
        self.position.push(row.position);
        self.event_id.push(text(row.event_id));
        self.stream.push(text(row.stream));
        self.version.push(row.version);
        self.event_type.push(text(row.event_type));
        self.schema_version.push(row.schema_version);
        self.occurred_at.push(row.occurred_at.timestamp_micros());
        self.recorded_at.push(row.recorded_at.timestamp_micros());
        self.request_id.extend(row.request_id.map(text));
        self.has_request_id.push(row.request_id.is_some().into());
        self.metadata.push(text(row.metadata.get()));
        self.payload.push(text(row.payload.get()));
        self.hash.push(text(&row.hash));
    }

    /// In the order of [`SCHEMA`].
    fn write(&self, group: &mut SerializedRowGroupWriter<'_, fs::File>) -> anyhow::Result<()> {
        longs(group, &self.position)?;
        texts(group, &self.event_id, None)?;
        texts(group, &self.stream, None)?;
        longs(group, &self.version)?;
        texts(group, &self.event_type, None)?;
        let mut column = group.next_column()?.context(END)?;
        column
            .typed::<Int32Type>()
            .write_batch(&self.schema_version, None, None)?;
        column.close()?;
        longs(group, &self.occurred_at)?;
        longs(group, &self.recorded_at)?;
        texts(group, &self.request_id, Some(&self.has_request_id))?;
        texts(group, &self.metadata, None)?;
        texts(group, &self.payload, None)?;
        texts(group, &self.hash, None)
    }
}

const END: &str = "the schema has fewer columns than there are";

fn longs(group: &mut SerializedRowGroupWriter<'_, fs::File>, values: &[i64]) -> anyhow::Result<()> {
    let mut column = group.next_column()?.context(END)?;
    column
        .typed::<Int64Type>()
        .write_batch(values, None, None)?;
    Ok(column.close()?)
}

/// `there`: 1 for a value, 0 for none; absent where none is missing.
fn texts(
    group: &mut SerializedRowGroupWriter<'_, fs::File>,
    values: &[ByteArray],
    there: Option<&[i16]>,
) -> anyhow::Result<()> {
    let mut column = group.next_column()?.context(END)?;
    column
        .typed::<ByteArrayType>()
        .write_batch(values, there, None)?;
    Ok(column.close()?)
}
