#!/usr/bin/env python3
"""Compares cached reads with what else there is. Started by `crates/rows/compare/run`, with a database in DATABASE_URL.

Prints requests a second, medians of paired runs: one of each, again and again, so that what disturbs the machine
disturbs all of them.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
HERE = os.path.dirname(os.path.abspath(__file__))
PAIRS = int(os.environ.get("PAIRS", "7"))
SECONDS = os.environ.get("SECONDS_EACH", "2")
ROWS = 100
CONNECTIONS = "16"
SWITCHBOARD = os.environ["PROGRAM"]
CONSTANT = os.path.join(HERE, "target/release/constant")
PYTHON = os.path.join(ROOT, "target/rows-compare/bin/python")

WRK = f"""
local n = 0
request = function()
    n = n % {ROWS} + 1
    return wrk.format("GET", "/patron/" .. n)
end
"""


def wait_for(url):
    for _ in range(600):
        try:
            if urllib.request.urlopen(url, timeout=5).status == 200:
                return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"{url} does not answer")


def service(port, *options):
    command = [SWITCHBOARD, "rows", "--listen", f"127.0.0.1:{port}", "--log", "warn", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_for(f"http://127.0.0.1:{port}/readyz")
    return process


def psql(sql):
    subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-c", sql], check=True)


def wrk(port, script):
    command = ["wrk", "-t1", "-c", CONNECTIONS, "-d", f"{SECONDS}s", "-s", script, f"http://127.0.0.1:{port}"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in text:
        sys.exit(text)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])


def pgbench(script):
    command = ["pgbench", "-n", "-M", "prepared", "-f", script, "-c", CONNECTIONS, "-j", "1", "-T", SECONDS]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(re.search(r"tps = ([\d.]+) \(without", text)[1])


def main():
    folder = tempfile.mkdtemp()
    script, select = os.path.join(folder, "get.lua"), os.path.join(folder, "select.sql")
    with open(script, "w") as file:
        file.write(WRK)
    with open(select, "w") as file:
        file.write(f"\\set id random(1, {ROWS})\nSELECT id, name, fav_dish FROM patron WHERE id = :id;\n")
    processes = []
    try:
        processes.append(service(18001))
        psql(f"INSERT INTO patron (name, fav_dish) SELECT 'name ' || n, repeat('x', 60) FROM generate_series(1, {ROWS}) n")
        processes.append(service(18002, "--set", "rows.rows=0"))
        processes.append(subprocess.Popen([CONSTANT, "127.0.0.1:18003"], stdout=subprocess.DEVNULL))
        processes.append(subprocess.Popen([PYTHON, os.path.join(HERE, "design.py"), "18004"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        for port in (18001, 18002, 18003, 18004):
            for key in range(1, ROWS + 1):
                wait_for(f"http://127.0.0.1:{port}/patron/{key}")
        runs = {
            "cached": lambda: wrk(18001, script),
            "constant hyper server": lambda: wrk(18003, script),
            "cache off": lambda: wrk(18002, script),
            "sanic, asyncpg, LRU": lambda: wrk(18004, script),
            "pgbench, prepared SELECT": lambda: pgbench(select),
        }
        results = {name: [] for name in runs}
        for _ in range(PAIRS):
            for name, run in runs.items():
                results[name].append(run())
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
    cached = results["cached"]
    print(f"{'':28}{'a second':>12}{'cached is':>14}")
    for name, all_of in results.items():
        ratio = statistics.median(one / other for one, other in zip(cached, all_of))
        print(f"{name:28}{statistics.median(all_of):12,.0f}{ratio:13.2f}x")


main()
