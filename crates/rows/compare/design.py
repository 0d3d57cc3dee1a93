"""The usual design in Python: sanic, asyncpg and an LRU that notifications keep up to date. design.py PORT.

The database is that of DATABASE_URL, with the table patron and its triggers.
"""

import json
import os
import sys
from collections import OrderedDict

import asyncpg
from sanic import Sanic
from sanic.response import json as reply

SIZE = 65536
app = Sanic("patrons")
cache = OrderedDict()


def remember(key, row):
    cache[key] = row
    cache.move_to_end(key)
    if len(cache) > SIZE:
        cache.popitem(last=False)


def changed(_connection, _process, _channel, payload):
    event = json.loads(payload)
    if event["type"] == "FLUSH":
        cache.clear()
    elif event["type"] == "DELETE":
        remember(event["id"], None)
    else:
        data = event["data"]
        remember(event["id"], data.get("new", data))


@app.before_server_start
async def connect(app, _loop):
    app.ctx.pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=4, max_size=8)
    app.ctx.listener = await asyncpg.connect(os.environ["DATABASE_URL"])
    await app.ctx.listener.add_listener("chan_patron", changed)


@app.get("/patron/<key:int>")
async def get(_request, key):
    if key in cache:
        cache.move_to_end(key)
        return reply(cache[key])
    row = await app.ctx.pool.fetchrow("SELECT id, name, fav_dish FROM patron WHERE id = $1", key)
    remember(key, dict(row) if row else None)
    return reply(cache[key])


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(sys.argv[1]), access_log=False, debug=False, single_process=True, motd=False)
