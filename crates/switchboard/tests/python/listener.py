"""Prints what is published to a channel, until the server closes."""

import argparse
import asyncio
import sys
import uuid

import native


async def main(args):
    me = uuid.uuid4().hex[:8]
    print(f"Starting up {me}", flush=True)
    reader, writer = await asyncio.open_connection(args.host, args.port)
    print(f"I am {writer.get_extra_info('sockname')}", flush=True)
    writer.write(native.frame(args.channel))

    def received(data):
        print(f"Received by {me}: {data[:20]}", flush=True)

    await native.confirmed(reader, writer, received)
    print("Subscribed.", flush=True)
    while (data := await native.receive(reader)) is not None:
        received(data)
    print("Server closed.", flush=True)
    writer.close()


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--host", default="localhost")
parser.add_argument("--port", type=int, default=25000)
native.channel_arguments(parser, "--listen")
try:
    asyncio.run(main(parser.parse_args()))
except KeyboardInterrupt:
    sys.exit(130)
