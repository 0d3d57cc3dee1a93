"""Publishes messages to a channel, and ends when the server has confirmed them."""

import argparse
import asyncio
import itertools
import sys
import uuid

import native


def messages(args, me):
    for number in itertools.count(args.first) if args.count is None else range(args.first, args.first + args.count):
        data = f"Msg {number} from {me}" if args.data is None else args.data
        yield native.message(args.channel, data.encode().ljust(args.size, b"X"))


async def main(args):
    me = uuid.uuid4().hex[:8]
    print(f"Starting up {me}", flush=True)
    reader, writer = await asyncio.open_connection(args.host, args.port)
    print(f"I am {writer.get_extra_info('sockname')}", flush=True)
    pieces = itertools.chain([native.frame(b"/null")], messages(args, me))
    if args.cut == "nowhere":
        pieces = [b"".join(pieces)]
    elif args.cut == "everywhere":
        # asyncio sets TCP_NODELAY: each write is a segment.
        pieces = (bytes([byte]) for piece in pieces for byte in piece)
    for piece in pieces:
        writer.write(piece)
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
parser.add_argument("--first", type=int, default=0, help="the first message's number")
parser.add_argument("--data", help="send this text, without a number")
parser.add_argument("--cut", choices=["nowhere", "everywhere"], help="write all at once, or byte by byte")
try:
    asyncio.run(main(parser.parse_args()))
except KeyboardInterrupt:
    sys.exit(130)
