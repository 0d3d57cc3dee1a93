"""Prints what is published to a channel, until the server closes."""

import argparse
import asyncio
import socket
import sys
import uuid

import native


async def connect(args):
    if not args.paused:
        return await asyncio.open_connection(args.host, args.port)
    # A small buffer, and a fixed one: the server soon finds that nobody reads.
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    narrow.connect((args.host, args.port))
    return await asyncio.open_connection(sock=narrow)


async def main(args):
    me = uuid.uuid4().hex[:8]
    print(f"Starting up {me}", flush=True)
    reader, writer = await connect(args)
    print(f"I am {writer.get_extra_info('sockname')}", flush=True)
    writer.write(native.frame(args.channel))

    def received(data):
        print(f"Received by {me}: {data[:20]}", flush=True)

    await native.confirmed(reader, writer, received)
    if args.paused:
        writer.transport.pause_reading()
    print("Subscribed.", flush=True)
    if args.paused:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        writer.transport.resume_reading()
    while (data := await native.receive(reader)) is not None:
        received(data)
    print("Server closed.", flush=True)
    writer.close()


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--host", default="localhost")
parser.add_argument("--port", type=int, default=25000)
native.channel_arguments(parser, "--listen")
parser.add_argument("--paused", action="store_true", help="once subscribed, read nothing until a line is typed")
try:
    asyncio.run(main(parser.parse_args()))
except KeyboardInterrupt:
    sys.exit(130)
