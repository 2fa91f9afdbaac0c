#!/usr/bin/env python3
"""Compares an export in Parquet with the same one in JSON Lines, row by row, by another reader."""

import json
import sys

import pyarrow.parquet as parquet

file = parquet.ParquetFile(sys.argv[1])
rows = file.read().to_pylist()
with open(sys.argv[2], encoding="utf-8", newline="\n") as lines:
    expected = [json.loads(line) for line in lines]
assert len(rows) == len(expected), f"{len(rows)} rows, {len(expected)} lines"
for row, line in zip(rows, expected):
    for name in ("occurred_at", "recorded_at"):
        assert row[name].utcoffset().total_seconds() == 0
        row[name] = row[name].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    for name in ("metadata", "payload"):
        row[name] = json.loads(row[name])
    assert row == line, f"{row} is not {line}"
notes = {
    key.decode(): value.decode()
    for key, value in file.metadata.metadata.items()
    if key.startswith(b"kontakty.")
}
print(json.dumps({"rows": len(rows), "groups": file.num_row_groups, "notes": notes}))
