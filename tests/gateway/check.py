#!/usr/bin/env python3
"""Checks the documents in proto/ with validators that are not ours.

    check.py PROTO_FOLDER GOLDEN_FOLDER ...
"""

import json
import pathlib
import sys

from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match

from contract import Broken, Contract

OFFICIAL = pathlib.Path(sys.prefix) / "node_modules/@asyncapi/specs/schemas"


def main(folder, *golden_folders):
    contract = Contract(folder)
    official_schema(contract.document)
    references(contract.document, contract)
    used = {contract.schema_file(subject).removeprefix("./") for subject in contract.messages}
    there = {str(path.relative_to(folder)) for path in (folder / "events").glob("*/*.json")}
    if used != there:
        raise Broken(f"not both in the document and in the folder: {used ^ there}")
    for subject, key in contract.messages.items():
        identity(contract, subject)
        for example in contract.document["components"]["messages"][key]["examples"]:
            contract.data(subject, json.dumps(example["payload"]))
    examples = 0
    for golden in golden_folders:
        service = golden.parts[-4]
        for path in golden.glob("*.json"):
            payload = json.dumps(sealed(json.loads(path.read_text())))
            # `<event type>.v<version>.<what>` is a further example of the same.
            event_type, _, version = path.stem.rpartition(".v")
            contract.data(f"kontakty.{service}.{event_type}.v{version.partition('.')[0]}", payload)
            examples += 1
    version = contract.document["asyncapi"]
    print(f"AsyncAPI {version}, {len(used)} schemas and {examples} golden files are valid")


def official_schema(document):
    schema = json.loads((OFFICIAL / f"{document['asyncapi']}.json").read_text())
    fault = best_match(Draft7Validator(schema).iter_errors(document))
    if fault:
        raise Broken(f"asyncapi.json: {fault.json_path}: {fault.message[:200]}")


def references(value, contract):
    """That everything pointed at is there."""
    if isinstance(value, dict):
        target = value.get("$ref")
        if isinstance(target, str) and target.startswith("#/"):
            found = contract.document
            for step in target[2:].split("/"):
                if step not in found:
                    raise Broken(f"asyncapi.json: {target} is not there")
                found = found[step]
        for inner in value.values():
            references(inner, contract)
    elif isinstance(value, list):
        for inner in value:
            references(inner, contract)


def identity(contract, subject):
    """What a message says of its schema is what the schema is called."""
    schema = json.loads((contract.folder / contract.schema_file(subject)).read_text())
    message = contract.document["components"]["messages"][contract.messages[subject]]
    if message["headers"]["properties"]["ce-dataschema"]["const"] != schema["$id"]:
        raise Broken(f"{subject} points at another schema than {schema['$id']}")


def sealed(payload):
    """As the log seals it."""
    if isinstance(payload, list):
        return [sealed(value) for value in payload]
    if not isinstance(payload, dict):
        return payload
    if "$personal" in payload and payload.pop("clear", None) is not None:
        return payload | {"sealed": "c2VhbGVk"}
    return {key: sealed(value) for key, value in payload.items()}


if __name__ == "__main__":
    try:
        main(*(pathlib.Path(folder).resolve() for folder in sys.argv[1:]))
    except Broken as broken:
        sys.exit(f"the contract is broken: {broken}")
