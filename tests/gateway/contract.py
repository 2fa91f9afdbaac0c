"""The contract as a stranger reads it: proto/asyncapi.json, the schemas beside it, nothing else."""

import functools
import json
import pathlib
import re
import urllib.parse

from jsonschema import Draft7Validator, FormatChecker
from jsonschema.exceptions import best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

ESCAPED = re.compile(r"(?:[!#$&-~]|%[0-9A-F]{2})*")


class Broken(Exception):
    """Something is not as the documents say. Names places, never values."""


class Contract:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.document = json.loads((self.folder / "asyncapi.json").read_text())
        resource = Resource(contents=self.document, specification=DRAFT7)
        self.registry = Registry().with_resource("asyncapi.json", resource)
        # The name of a message is the NATS subject it comes on.
        self.messages = {m["name"]: key for key, m in self.document["components"]["messages"].items()}

    def read(self, subject, headers, payload):
        """The attributes and the data of a message that came on a subject, once they are proven."""
        attributes = {name: decode(name, value) for name, value in (headers or {}).items()}
        self.prove(self._headers(subject), attributes, f"headers of {subject}")
        if attributes["ce-type"] != subject:
            raise Broken(f"a {attributes['ce-type']} came as {subject}")
        # What was too large for the bus is with the owner.
        data = None if "ce-dataref" in attributes else self.data(subject, payload)
        return attributes, data

    def data(self, subject, payload):
        """The data of an event, wherever it was read, once it is proven."""
        data = json.loads(payload)
        self.prove(self._payload(subject), data, self.schema_file(subject))
        return data

    def schema_file(self, subject):
        return self._message(subject)["payload"]["schema"]["$ref"]

    def prove(self, validator, instance, what):
        fault = best_match(validator.iter_errors(instance))
        if fault:
            raise Broken(f"{what}: {fault.json_path} is against `{fault.validator}`")

    def _message(self, subject):
        try:
            return self.document["components"]["messages"][self.messages[subject]]
        except KeyError:
            raise Broken(f"no message is named {subject}") from None

    @functools.cache
    def _headers(self, subject):
        self._message(subject)
        pointer = f"asyncapi.json#/components/messages/{self.messages[subject]}/headers"
        return validator({"$ref": pointer}, self.registry)

    @functools.cache
    def _payload(self, subject):
        return validator(json.loads((self.folder / self.schema_file(subject)).read_text()))


def validator(schema, registry=Registry()):
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema, registry=registry, format_checker=FormatChecker())


def decode(name, value):
    if name.startswith("ce-") and not ESCAPED.fullmatch(value):
        raise Broken(f"header {name} is not percent-encoded as CloudEvents wants it")
    return urllib.parse.unquote(value, errors="strict")
