"""The page of headlines as a typical asyncio program has it: aiohttp, Beautiful Soup, and for JavaScript a Chromium by playwright.

usage: asyncio_program.py COUNT MODE SITE_PORT PORT [CHROMIUM]

CHROMIUM is a program that runs Chromium in its sandbox; without it, the system's runs without a sandbox, as root's has to.
GET /news asks all sites side by side and shows their headlines sorted; GET /cached shows the last result.
"""
import asyncio
import html
import sys
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from bs4 import BeautifulSoup
from playwright.async_api import async_playwright

last = []


@asynccontextmanager
async def browser(is_needed):
    if not is_needed:
        yield None
        return
    async with async_playwright() as playwright:
        program, is_sandboxed = (sys.argv[5], True) if len(sys.argv) > 5 else ("/usr/bin/chromium", False)
        chromium = await playwright.chromium.launch(executable_path=program, chromium_sandbox=is_sandboxed)
        yield chromium
        await chromium.close()


async def plain(session, url):
    async with session.get(url) as response:
        return await response.text()


async def rendered(chromium, url):
    context = await chromium.new_context()
    try:
        page = await context.new_page()
        await page.goto(url)
        await page.wait_for_selector("p a")
        return await page.content()
    finally:
        await context.close()


def extract(url, text):
    soup = BeautifulSoup(text, "html.parser")
    return [(link.get_text(), url + link["href"].lstrip("/")) for link in soup.select("a[href]")]


def page(items):
    boxes = "".join(f'<li><a href="{html.escape(url)}">{html.escape(text)}</a></li>' for text, url in items)
    return web.Response(text=f"<!doctype html><title>News</title><ul>{boxes}</ul>", content_type="text/html")


async def main(count, needs_browser, site_port, port):
    urls = [f"http://127.0.7.{number}:{site_port}/" for number in range(1, count + 1)]
    async with browser(needs_browser) as chromium, aiohttp.ClientSession() as session:

        async def news(_):
            fetch = (lambda url: rendered(chromium, url)) if needs_browser else (lambda url: plain(session, url))
            texts = await asyncio.gather(*map(fetch, urls))
            items = {text: url for site, page in zip(urls, texts) for text, url in extract(site, page)}
            last[:] = sorted(items.items())
            return page(last)

        async def cached(_):
            return page(last)

        app = web.Application()
        app.router.add_get("/news", news)
        app.router.add_get("/cached", cached)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        print("ready", flush=True)
        await asyncio.Event().wait()


asyncio.run(main(int(sys.argv[1]), sys.argv[2] == "render", int(sys.argv[3]), int(sys.argv[4])))
