"""Requests a second of reads from the cache, beside what else there is."""

import os
import statistics

from common import CONNECTIONS, HERE, PYTHON, ROWS, SECONDS, alternate, paired

NAME = "reads"


def measure(bench):
    cached, constant = bench.cached(), bench.constant()
    off = bench.service(18002, "--set", "rows.rows=0")
    python = bench.start("python", [PYTHON, os.path.join(HERE, "design.py"), "18004"], 18004, "/patron/1")
    bench.read_all(off)
    bench.read_all(python)
    select = f"\\set id random(1, {ROWS})\nSELECT id, name, fav_dish FROM patron WHERE id = :id;\n"
    results = alternate(
        {
            "cached": lambda: bench.wrk(cached),
            "constant hyper server": lambda: bench.wrk(constant),
            "cache off": lambda: bench.wrk(off),
            "sanic, asyncpg, LRU": lambda: bench.wrk(python),
            "pgbench, prepared SELECT": lambda: bench.pgbench(select, "-c", str(CONNECTIONS), "-T", str(SECONDS))[0],
        }
    )
    bench.rate = statistics.median(results["constant hyper server"])
    ratios = {name: paired(results["cached"], rates) for name, rates in results.items()}
    print(f"{'':28}{'a second':>12}{'cached is':>14}")
    for name, rates in results.items():
        print(f"{name:28}{statistics.median(rates):12,.0f}{ratios[name]:13.2f}x")
    bench.bound("cached, of the constant server", ratios["constant hyper server"], least=0.9)
    bench.bound("cached, of the cache off", ratios["cache off"], least=5)
