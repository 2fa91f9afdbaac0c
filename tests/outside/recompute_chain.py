#!/usr/bin/env python3
"""Recomputes the hash chain of a log from `kontakty log export --format jsonl`, without Kontakty.

    recompute_chain.py FILE [HASH-BEFORE-THE-FIRST-LINE]

Needs the package blake3. Prints the last position and its hash, to be compared with a checkpoint, or
the first position whose hash does not follow.
"""

import json
import sys
import uuid
from datetime import datetime, timezone

import blake3

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def raw(line, key, start=0):
    """The bytes of a value as they stand in the line, and where they end."""
    begin = line.index(f'"{key}":', start) + len(key) + 3
    end = json.JSONDecoder().raw_decode(line, begin)[1]
    return line[begin:end].encode(), end


def micros(text):
    since = datetime.fromisoformat(text.replace("Z", "+00:00")) - EPOCH
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds


def number(value):
    return value.to_bytes(8, "big", signed=True)


def hash_of(before, line):
    event = json.loads(line)
    metadata, end = raw(line, "metadata")
    payload, _ = raw(line, "payload", end)
    fields = [
        number(event["position"]),
        uuid.UUID(event["event_id"]).bytes,
        event["stream"].encode(),
        number(event["version"]),
        event["type"].encode(),
        number(event["schema_version"]),
        number(micros(event["occurred_at"])),
        number(micros(event["recorded_at"])),
        uuid.UUID(event["request_id"]).bytes if event["request_id"] else b"",
        metadata,
        payload,
    ]
    content = b"".join(len(field).to_bytes(8, "big") + field for field in fields)
    return event["position"], event["hash"], blake3.blake3(before + content).digest()


def main():
    before = bytes.fromhex(sys.argv[2]) if len(sys.argv) > 2 else bytes(32)
    position = 0
    with open(sys.argv[1], encoding="utf-8", newline="\n") as lines:
        for line in lines:
            position, stored, before = hash_of(before, line)
            if before.hex() != stored:
                sys.exit(f"position {position}: the hash does not follow")
    print(f"{position} {before.hex()}")


main()
