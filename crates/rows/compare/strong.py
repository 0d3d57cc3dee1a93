"""Strong reads that share markers, beside a SELECT for each.

Both are the same service with the same number of database sessions, asked with `Consistency: strong`. The other one's table has no
triggers, so that the service reads every row from the database, and sends no marker for it.
"""

import statistics
import sys

from common import ROWS, alternate, paired, psql, source_of

NAME = "strong"
IN_FLIGHT = 256


def measure(bench):
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
    print(f"{f'{IN_FLIGHT} in flight':28}{'a second':>12}")
    for name, rates in results.items():
        print(f"{name:28}{statistics.median(rates):12,.0f}")
    bench.bound("strong reads, of a SELECT each", paired(ours, others), least=5)
