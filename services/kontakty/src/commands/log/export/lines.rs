//! JSON Lines. A line that is not whole is cut off when the export continues.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write},
    path::PathBuf,
};

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::order::{Work, create};
use crate::commands::log::row::Row;

pub(super) struct Lines {
    path: PathBuf,
    file: BufWriter<File>,
    last: i64,
}

#[derive(Deserialize)]
struct Place {
    position: i64,
}

impl Lines {
    pub(super) fn open(work: &Work) -> anyhow::Result<Self> {
        let path = work.folder.join("rows.jsonl");
        let mut file = create(&path)?;
        let mut last = work.order.from - 1;
        let mut whole = 0;
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)?;
            if !line.ends_with(b"\n") {
                break;
            }
            let place: Place = serde_json::from_slice(&line)
                .with_context(|| format!("{} has a line that is none", path.display()))?;
            ensure!(
                place.position == last + 1,
                "{} lacks position {}",
                path.display(),
                last + 1
            );
            last = place.position;
            whole += length as u64;
        }
        file.set_len(whole)?;
        file.seek(SeekFrom::Start(whole))?;
        Ok(Self {
            path,
            file: BufWriter::new(file),
            last,
        })
    }

    /// The last position in the file.
    pub(super) fn last(&self) -> i64 {
        self.last
    }

    pub(super) fn write(&mut self, row: &Row<'_>) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.file, row)?;
        self.file.write_all(b"\n")?;
        Ok(())
    }

    pub(super) fn finish(mut self) -> anyhow::Result<PathBuf> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        Ok(self.path)
    }
}
