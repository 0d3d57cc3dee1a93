"""Time from a write by somebody else until three instances serve the new row."""

from common import PAIRS, fields, output_of, tool

NAME = "events"
INSTANCES = (18001, 18011, 18012)
WRITES = 200


def measure(bench):
    for port in INSTANCES:
        bench.cached(port)
    writes = str(WRITES * PAIRS)
    text = output_of([tool("visible"), writes, *(f"127.0.0.1:{port}" for port in INSTANCES)])
    print(f"{f'{writes} writes, from the UPDATE':36}" + "".join(f"{name:>12}" for name in ("p50 (us)", "p99 (us)", "max (us)")))
    words = {
        "acknowledged": "acknowledged to its writer",
        "reported": f"reported by {len(INSTANCES)} instances",
        "served": "served by each, to who asked then",
    }
    for line in text.splitlines():
        found = fields(line)
        if found["name"] == "hits":
            print(f"{float(found['share']):.0%} of these rows came from the cache, the others from the database through it")
        else:
            print(f"{words[found['name']]:36}" + "".join(f"{float(found[name]):12,.0f}" for name in ("p50", "p99", "max")))
