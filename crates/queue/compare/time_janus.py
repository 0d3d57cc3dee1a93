"""Times Python's janus: time_janus.py WAY CAPACITY ITEMS prints items a second. A capacity of 0 is none."""

import asyncio
import sys
import threading
import time

import janus


async def thread_to_task(queue, items):
    def source():
        for item in range(items):
            queue.sync_q.put(item)

    thread = threading.Thread(target=source)
    thread.start()
    for item in range(items):
        assert await queue.async_q.get() == item
    thread.join()
    return items


async def task_to_thread(queue, items):
    def sink():
        for item in range(items):
            assert queue.sync_q.get() == item

    thread = threading.Thread(target=sink)
    thread.start()
    for item in range(items):
        await queue.async_q.put(item)
    await asyncio.to_thread(thread.join)
    return items


async def many_to_many(queue, items):
    each = items // 4

    def source():
        for item in range(each):
            queue.sync_q.put(item)

    def sink():
        for _ in range(each):
            queue.sync_q.get()

    async def source_task():
        for item in range(each):
            await queue.async_q.put(item)

    async def sink_task():
        for _ in range(each):
            await queue.async_q.get()

    threads = [threading.Thread(target=target) for target in (source, source, sink, sink)]
    for thread in threads:
        thread.start()
    await asyncio.gather(source_task(), source_task(), sink_task(), sink_task())
    for thread in threads:
        await asyncio.to_thread(thread.join)
    return 4 * each


async def ping_pong(ping, items):
    pong = janus.Queue(ping.maxsize)

    def back():
        for _ in range(items):
            pong.sync_q.put(ping.sync_q.get())

    thread = threading.Thread(target=back)
    thread.start()
    for item in range(items):
        await ping.async_q.put(item)
        assert await pong.async_q.get() == item
    await asyncio.to_thread(thread.join)
    await pong.aclose()
    return items


async def main(way, capacity, items):
    queue = janus.Queue(capacity)
    start = time.perf_counter()
    done = await way(queue, items)
    print(done / (time.perf_counter() - start))
    await queue.aclose()


WAYS = {way.__name__: way for way in (thread_to_task, task_to_thread, many_to_many, ping_pong)}

asyncio.run(main(WAYS[sys.argv[1]], int(sys.argv[2]), int(sys.argv[3])))
