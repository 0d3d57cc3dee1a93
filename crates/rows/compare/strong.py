"""Strong reads that share markers, beside a SELECT for each: of the library, and over HTTP.

The library's are those of 256 tasks of one program. Their rival takes one of as many connections as the cache has for each of its
prepared SELECTs, as from a pool. Over HTTP both are the same service with the same number of database sessions, asked with `Consistency: strong`. The other one's table has no
triggers, so that the service reads every row from the database, and sends no marker for it.
"""

import statistics
import sys

from common import LIBRARY, PAIRS, ROWS, SECONDS, alternate, fields, output_of, paired, psql, source_of

NAME = "strong"
IN_FLIGHT = 256


def measure(bench):
    lines = [fields(line) for line in output_of([LIBRARY, str(SECONDS), str(PAIRS)]).splitlines()]
    library = {name: [float(line[name]) for line in lines] for name in ("shared", "pooled", "pipelined")}
    print(f"{f'{IN_FLIGHT} tasks of the library':36}{'a second':>12}{'shared is':>12}")
    for name, words in (
        ("shared", "strong, shared markers"),
        ("pooled", "a SELECT each, of 8 in a pool"),
        ("pipelined", "a SELECT each, of 8 with pipelining"),
    ):
        print(f"{words:36}{statistics.median(library[name]):12,.0f}{paired(library['shared'], library[name]):11.2f}x")
    bench.bound("strong reads of the library, of a SELECT each", paired(library["shared"], library["pooled"]), least=5)
    cached = bench.cached()
    psql("CREATE TABLE unwatched AS SELECT * FROM patron; ALTER TABLE unwatched ADD PRIMARY KEY (id); ANALYZE unwatched")
    each = bench.start(
        "unwatched",
        [*bench.command(18005), "--table", "unwatched", "--set", "rows.install-triggers=false"],
        18005,
        "/unwatched/1",
    )
    bench.read_all(each, "unwatched")
    sources = source_of(cached, "/patron/1", "strong"), source_of(each, f"/unwatched/{ROWS}", "strong")
    if sources != ("hit", "bypass"):
        sys.exit(f"the rows come from {sources}, not from cache and database")
    results = alternate(
        {
            "strong, shared markers": lambda: bench.wrk(cached, IN_FLIGHT, consistency="strong"),
            "strong, a SELECT each": lambda: bench.wrk(each, IN_FLIGHT, "unwatched", "strong"),
        }
    )
    ours, others = results.values()
    print(f"{f'{IN_FLIGHT} in flight over HTTP':36}{'a second':>12}{'shared is':>12}")
    for name, rates in results.items():
        print(f"{name:36}{statistics.median(rates):12,.0f}{paired(ours, rates):11.2f}x")
    bench.bound("strong reads over HTTP, of a SELECT each", paired(ours, others), least=5)
