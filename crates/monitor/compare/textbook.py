"""A collector as a typical program has it: an asyncio SUB socket, a queue a page, Server-Sent Events.

textbook.py ENDPOINT PORT; needs pyzmq and aiohttp.
"""

import asyncio
import json
import sys

import zmq
import zmq.asyncio
from aiohttp import web

queues = set()


async def collect(endpoint):
    socket = zmq.asyncio.Context.instance().socket(zmq.SUB)
    socket.setsockopt(zmq.SUBSCRIBE, b"")
    socket.bind(endpoint)
    while True:
        sample = await socket.recv_json()
        for queue in list(queues):
            queue.put_nowait(sample)


async def feed(request):
    response = web.StreamResponse()
    response.content_type = "text/event-stream"
    response.headers["Cache-Control"] = "no-cache"
    queue = asyncio.Queue()
    queues.add(queue)
    try:
        await response.prepare(request)
        while True:
            sample = await queue.get()
            await response.write(f"data: {json.dumps(sample)}\n\n".encode())
    finally:
        queues.discard(queue)


async def start(app):
    app["collector"] = asyncio.create_task(collect(sys.argv[1]))


app = web.Application()
app.router.add_get("/feed", feed)
app.on_startup.append(start)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[2]), print=None)
