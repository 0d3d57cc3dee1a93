"""Ways to measure cached reads beside the design in Python, and the constant server, which no HTTP server of this kind beats.

The rate of a closed loop is that of server and tool together. Each way takes away another part of what the tool costs: more
connections, more threads of the tool, more requests in flight on each connection, a core each for server and tool, and at last the
processor time of the server alone for each request.
"""

import os
import statistics

from common import HERE, PYTHON, SECONDS, alternate, paired

NAME = "limit"
# Each: what `wrk` is told, and whether server and tool have a core each.
WAYS = {
    "16 connections": ({}, False),
    "256 connections": ({"connections": 256}, False),
    "64 connections, 2 threads": ({"connections": 64, "threads": 2}, False),
    "16 requests in flight on each of 16": ({"depth": 16}, False),
    "server and tool on a core each": ({"connections": 64}, True),
    "both of these": ({"depth": 16}, True),
}
PYTHON_TIMES = 20


def measure(bench):
    ports = {"service": bench.cached(), "constant": bench.constant()}
    ports["python"] = bench.start("python", [PYTHON, os.path.join(HERE, "design.py"), "18004"], 18004, "/patron/1")
    bench.read_all(ports["python"])
    names = {"service": ports["service"], "constant": "constant", "python": "python"}
    times = {name: [] for name in ports}

    def run(name, options, has_core):
        bench.pin(names[name], 0 if has_core else None)
        begun = bench.processor_time(names[name])
        rate = bench.wrk(ports[name], core=1 if has_core else None, **options)
        time = (bench.processor_time(names[name]) - begun) / (rate * SECONDS)
        bench.pin(names[name], None)
        return rate, time * 1e6

    best = 0
    print(f"{'':38}{'cached':>12}{'constant':>12}{'python':>12}{'cached is':>11}{'constant is':>13}")
    for way, (options, has_core) in WAYS.items():
        results = alternate({name: lambda name=name: run(name, options, has_core) for name in ports})
        rates = {name: [rate for rate, _ in runs] for name, runs in results.items()}
        for name, runs in results.items():
            times[name] += [time for _, time in runs]
        best = max(best, line(way, rates, rates, "{:,.0f}"))
    inverse = {name: [1 / time for time in runs] for name, runs in times.items()}
    best = max(best, line("processor time of the server, us", times, inverse, "{:.1f}"))
    bench.bound("cached, of the design in Python, the best way", best, least=PYTHON_TIMES)


def line(way, shown, rates, form):
    """Prints one way, and returns how many times the rate of the design in Python the cache has."""
    texts = "".join(f"{form.format(statistics.median(values)):>12}" for values in shown.values())
    cached, constant = (paired(rates[name], rates["python"]) for name in ("service", "constant"))
    print(f"{way:38}{texts}{cached:10.2f}x{constant:12.2f}x")
    return cached
