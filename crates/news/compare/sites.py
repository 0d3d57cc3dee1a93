"""Sites to ask: each on a loopback address of its own, so that each is a host of its own.

Plain ones answer after LATENCY, the last one after SLOWEST; the others show their headlines through JavaScript only.
"""
import asyncio
import json
import sys
import time

from aiohttp import web

LATENCY, SLOWEST = 0.1, 1.0
HEADLINES = 30


def headlines(site):
    return [f"Headline {number} of site {site}: something happened here" for number in range(HEADLINES)]


def links(site):
    return "".join(f'<p><a href="/story/{number}">{text}</a></p>' for number, text in enumerate(headlines(site)))


def rendered(site):
    return (
        "<div id=list></div><script>setTimeout(() => fetch('/data').then(r => r.json()).then(html => "
        "{ document.getElementById('list').innerHTML = html }), 200)</script>"
    )


class Site:
    """The requests of all sites are noted together: when the first came, and when the last answer went."""

    first = last = None

    def __init__(self, number, is_slowest, needs_browser):
        self.number, self.latency, self.needs_browser = number, SLOWEST if is_slowest else LATENCY, needs_browser

    async def answer(self, request):
        Site.first = Site.first or time.monotonic()
        if request.path == "/robots.txt":
            await asyncio.sleep(LATENCY)
            response = web.Response(status=404)
        elif request.path == "/data":
            response = web.json_response(links(self.number))
        elif request.path == "/":
            await asyncio.sleep(self.latency)
            text = rendered(self.number) if self.needs_browser else links(self.number)
            response = web.Response(text=f"<title>Site {self.number}</title>{text}", content_type="text/html")
        else:
            response = web.Response(status=404)
        Site.last = time.monotonic()
        return response


async def main(count, needs_browser, port):
    for number in range(1, count + 1):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", Site(number, number == count, needs_browser).answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, f"127.0.7.{number}", port).start()
    print("ready", flush=True)
    # A line asks for the times since the last one.
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        print(json.dumps([Site.first, Site.last, time.monotonic()]), flush=True)
        Site.first = Site.last = None


asyncio.run(main(int(sys.argv[1]), sys.argv[2] == "render", int(sys.argv[3])))
