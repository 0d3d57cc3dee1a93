"""Publishes messages to a channel, and ends when the server has confirmed them."""

import argparse
import asyncio
import itertools
import sys
import uuid

import native


async def main(args):
    me = uuid.uuid4().hex[:8]
    print(f"Starting up {me}", flush=True)
    reader, writer = await asyncio.open_connection(args.host, args.port)
    print(f"I am {writer.get_extra_info('sockname')}", flush=True)
    writer.write(native.frame(b"/null"))
    for number in range(args.count) if args.count is not None else itertools.count():
        data = f"Msg {number} from {me}".encode().ljust(args.size, b"X")
        writer.write(native.message(args.channel, data))
        await writer.drain()
        if args.interval:
            await asyncio.sleep(args.interval)
    print("Written.", flush=True)
    await native.confirmed(reader, writer)
    print("Confirmed.", flush=True)
    writer.close()
    await writer.wait_closed()
    print("Connection ended.", flush=True)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--host", default="localhost")
parser.add_argument("--port", type=int, default=25000)
native.channel_arguments(parser, "--channel")
parser.add_argument("--interval", type=float, default=1)
parser.add_argument("--size", type=int, default=0, help="bytes that a message has at least")
parser.add_argument("--count", type=int, help="how many messages; without it, no end")
try:
    asyncio.run(main(parser.parse_args()))
except KeyboardInterrupt:
    sys.exit(130)
