"""A message broker in Python, decoupled as a typical asyncio program is: a bounded queue and a task for each
channel, a bounded queue and a task for each subscriber. It speaks the native protocol, and has
Switchboard's echo, so that one tool can load both. It prints nothing: that makes it faster.
"""

import argparse
import asyncio
import struct
from collections import defaultdict, deque

ECHO = b"/switchboard/echo"
LENGTH = struct.Struct(">I")

outboxes = defaultdict(deque)  # channel -> its subscribers' queues, the newest first
inboxes = {}  # channel -> the queue of what was published to it


async def read_frame(reader):
    (length,) = LENGTH.unpack(await reader.readexactly(4))
    return await reader.readexactly(length)


async def write_all(writer, outbox):
    """A subscriber's task."""
    while (data := await outbox.get()) is not None:
        writer.writelines([LENGTH.pack(len(data)), data])
        await writer.drain()


async def deal(channel, inbox):
    """A channel's task. While nobody subscribes, what is there waits."""
    while True:
        data = await inbox.get()
        while not (subscribers := outboxes[channel]):
            await asyncio.sleep(0.05)
        if channel.startswith(b"/queue"):
            subscribers.rotate(-1)
            await subscribers[-1].put(data)
        else:
            for outbox in list(subscribers):
                await outbox.put(data)


async def serve(reader, writer):
    outbox = asyncio.Queue(maxsize=100)
    task = asyncio.create_task(write_all(writer, outbox))
    subscription = None
    try:
        subscription = await read_frame(reader)
        outboxes[subscription].appendleft(outbox)
        while channel := await read_frame(reader):
            data = await read_frame(reader)
            if channel == ECHO:
                await outbox.put(data)
                continue
            if (inbox := inboxes.get(channel)) is None:
                inbox = inboxes[channel] = asyncio.Queue(maxsize=10)
                inbox.task = asyncio.create_task(deal(channel, inbox))
            await inbox.put(data)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        if subscription is not None:
            outboxes[subscription].remove(outbox)
        task.cancel()
        writer.close()


async def main(port):
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=25000)
    parser.add_argument("--uvloop", action="store_true")
    arguments = parser.parse_args()
    if arguments.uvloop:
        import uvloop

        uvloop.run(main(arguments.port))
    else:
        asyncio.run(main(arguments.port))
