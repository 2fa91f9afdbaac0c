#!/usr/bin/env python3
"""Follows the logs of an office over NATS and keeps a copy of them.

Knows the documents in proto/ and public libraries, and no code of Kontakty: what it can do, a
gateway of yours can. It keeps its cursor in the transaction of its effect, so an event counts once
however often it comes; it finds what the bus lost by the hole in the positions, and reads that
from the log over gRPC.
"""

import argparse
import asyncio
import json
import pathlib
import signal
import sqlite3
import sys

import grpc
import nats
import nats.errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from contract import Broken, Contract

SERVICES = ["accounts", "contacts", "planning", "notifications"]
PAGE = 500


class Copy:
    """The database of this consumer: the cursor of each source and what it has done with events."""

    def __init__(self, file):
        self.db = sqlite3.connect(file, isolation_level=None)
        self.db.execute(
            "create table if not exists cursors"
            "(source text primary key, epoch text not null, position integer not null)"
        )
        self.db.execute(
            "create table if not exists events(source text, position integer, id text, type text,"
            " data text, primary key(source, position))"
        )

    def cursor(self, source):
        row = self.db.execute("select epoch, position from cursors where source = ?", [source])
        return row.fetchone() or ("", 0)

    def apply(self, source, epoch, position, event_id, event_type, data):
        """The effect and the cursor: both or neither. An event that was applied would raise here."""
        with self.transaction():
            self.db.execute(
                "insert into events values (?, ?, ?, ?, ?)",
                [source, position, event_id, event_type, json.dumps(data, ensure_ascii=False)],
            )
            self.move(source, epoch, position)

    def begin_anew(self, source, epoch):
        """A backup was restored there: positions mean other events now."""
        with self.transaction():
            self.db.execute("delete from events where source = ?", [source])
            self.move(source, epoch, 0)

    def move(self, source, epoch, position):
        self.db.execute(
            "insert into cursors values (?, ?, ?) on conflict (source)"
            " do update set epoch = excluded.epoch, position = excluded.position",
            [source, epoch, position],
        )

    def transaction(self):
        self.db.execute("begin immediate")
        return self.db

    def rows(self):
        return self.db.execute("select source, position, id, type from events order by 1, 2")


class Log:
    """LogService, from the proto files and nothing else."""

    def __init__(self, proto, address, token):
        sys.path.insert(0, str(proto))
        self.messages, services = grpc.protos_and_services("kontakty/log/v1/log.proto")
        self.stub = services.LogServiceStub(grpc.aio.insecure_channel(address))
        self.metadata = [("authorization", f"Bearer {token}")]

    async def read(self, service, after, limit):
        request = self.messages.ReadEventsRequest(
            service=service, after_position=after, limit=limit
        )
        return await self.stub.ReadEvents(request, metadata=self.metadata, timeout=10)


class Follower:
    def __init__(self, service, arguments, contract, copy, log):
        self.service, self.contract, self.copy, self.log = service, contract, copy, log
        self.durable = f"{arguments.name}--{service}"
        self.deliver = DeliverPolicy(arguments.deliver)
        self.idle = arguments.idle
        self.filled = self.duplicates = 0

    async def follow(self, jetstream):
        while True:
            try:
                await self.listen(jetstream)
            except (nats.errors.Error, OSError) as error:
                # The stream or our consumer is gone. What is missing meanwhile, the owner has.
                self.tell(waiting=type(error).__name__)
                await self.fill()
                await asyncio.sleep(0.5)

    async def listen(self, jetstream):
        subscription = await jetstream.pull_subscribe(
            f"kontakty.{self.service}.>",
            durable=self.durable,
            stream=self.service,
            config=ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, deliver_policy=self.deliver),
        )
        self.tell(listening=True)
        try:
            while True:
                try:
                    messages = await subscription.fetch(100, timeout=self.idle)
                except TimeoutError:
                    # Silence is no proof that nothing happened.
                    await self.fill()
                    await subscription.consumer_info()
                    continue
                for message in messages:
                    await self.take(message)
                    await message.ack()
                self.tell()
        finally:
            await unsubscribed(subscription)

    async def take(self, message):
        attributes, data = self.contract.read(message.subject, message.headers, message.data)
        epoch, position = attributes["ce-epoch"], int(attributes["ce-sequence"])
        known, cursor = self.copy.cursor(self.service)
        if known not in ("", epoch):
            await self.fill()  # which life the log is in, its owner knows
        elif position > cursor + 1:
            await self.fill(up_to=position - 1)
        if data is None:
            await self.fill(up_to=position)
        known, cursor = self.copy.cursor(self.service)
        if known in ("", epoch) and position <= cursor + 1:
            self.apply(epoch, position, attributes["ce-id"], attributes["ce-type"], data)

    async def fill(self, up_to=None):
        """Reads from the owner what comes after the cursor."""
        while True:
            after = self.copy.cursor(self.service)[1]
            limit = PAGE if up_to is None else min(PAGE, up_to - after)
            if limit <= 0:
                return
            try:
                page = await self.log.read(self.service, after, limit)
            except grpc.aio.AioRpcError as error:
                self.tell(waiting=error.code().name)
                return
            if self.copy.cursor(self.service)[0] not in ("", page.epoch):
                self.copy.begin_anew(self.service, page.epoch)
                continue
            if not page.events:
                return
            for event in page.events:
                subject = f"kontakty.{self.service}.{event.type}.v{event.schema_version}"
                data = self.contract.data(subject, event.payload)
                self.filled += 1
                self.apply(page.epoch, event.position, event.event_id, subject, data)
            self.tell()

    def apply(self, epoch, position, event_id, event_type, data):
        cursor = self.copy.cursor(self.service)[1]
        if position <= cursor:
            self.duplicates += 1
        elif position == cursor + 1:
            self.copy.apply(self.service, epoch, position, event_id, event_type, data)
        else:
            raise Broken(f"the log of {self.service} has a hole before {position}")

    def tell(self, **more):
        line = {
            "service": self.service,
            "position": self.copy.cursor(self.service)[1],
            "filled": self.filled,
            "duplicates": self.duplicates,
            **more,
        }
        print(json.dumps(line), flush=True)


async def unsubscribed(subscription):
    try:
        await subscription.unsubscribe()
    except nats.errors.Error:
        pass  # the connection is gone, and the subscription with it


async def follow(arguments):
    contract = Contract(arguments.contract)
    copy = Copy(arguments.state)
    log = Log(arguments.contract, arguments.grpc, arguments.token)
    connection = await nats.connect(
        f"nats://{arguments.nats}", max_reconnect_attempts=-1, reconnect_time_wait=0.2
    )
    async with asyncio.TaskGroup() as tasks:
        for service in arguments.service or SERVICES:
            follower = Follower(service, arguments, contract, copy, log)
            tasks.create_task(follower.follow(connection.jetstream()))


async def main(arguments):
    following = asyncio.create_task(follow(arguments))
    for stop in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(stop, following.cancel)
    try:
        await following
    except* asyncio.CancelledError:
        pass
    except* Broken as broken:
        sys.exit(f"the contract is broken: {broken.exceptions[0]}")


def command_line():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = pathlib.Path(__file__).resolve().parent
    parser.add_argument("--contract", default=here / "../../proto", help="folder of the documents")
    parser.add_argument("--nats", metavar="HOST:PORT")
    parser.add_argument("--grpc", metavar="HOST:PORT")
    parser.add_argument("--token", help="`kontakty token --gateway NAME` prints one")
    parser.add_argument("--state", required=True, metavar="FILE", help="own database (SQLite)")
    parser.add_argument("--name", default="example", help="of the consumers, the same for ever")
    parser.add_argument("--service", action="append", choices=SERVICES)
    parser.add_argument("--deliver", default="all", choices=["all", "new"])
    parser.add_argument("--idle", type=float, default=1.0, help="seconds until the owner is asked")
    parser.add_argument("--print", action="store_true", help="print the copy and end")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = command_line()
    if arguments.print:
        for source, position, event_id, event_type in Copy(arguments.state).rows():
            print(source, position, event_id, event_type)
    else:
        asyncio.run(main(arguments))
