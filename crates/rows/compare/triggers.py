"""The price of the triggers: writes with and without them. One instance listens to the table that has them."""

import os
import statistics

from common import SECONDS, SWITCHBOARD, alternate, output_of, paired, psql

NAME = "triggers"
ROWS = 100_000
WRITERS = 8
# Each: rows of one statement, the statement, and the options of pgbench.
WRITES = {
    "1 row": ("\\set id random(1, {rows})\nUPDATE {table} SET n = n + 1 WHERE id = :id;\n", ["-c", str(WRITERS), "-T", str(SECONDS)]),
    "1,000 rows": (
        "\\set id random(1, {rows} - 999)\nUPDATE {table} SET n = n + 1 WHERE id BETWEEN :id AND :id + 999;\n",
        ["-c", "1", "-t", "20"],
    ),
    "100,000 rows": ("UPDATE {table} SET n = n + 1;\n", ["-c", "1", "-t", "1"]),
}


def measure(bench):
    for table in ("plain", "watched"):
        psql(
            f"CREATE TABLE {table} (id int PRIMARY KEY, n int, pad text) WITH (autovacuum_enabled = off);"
            f"INSERT INTO {table} SELECT n, 0, repeat('x', 60) FROM generate_series(1, {ROWS}) n"
        )
    output_of([SWITCHBOARD, "rows", "triggers", "install", "--database", os.environ["DATABASE_URL"], "--table", "watched"])
    bench.start("watched", [*bench.command(18006), "--table", "watched"], 18006, "/readyz")

    def run(table, statement, options):
        # Dead rows of the run before would cost this one their cleaning.
        psql(f"VACUUM {table}")
        return bench.pgbench(statement.format(table=table, rows=ROWS), *options)

    print(f"{'UPDATE of':28}{'without':>14}{'with':>14}{'with is':>10}")
    for name, (statement, options) in WRITES.items():
        results = alternate({table: lambda table=table: run(table, statement, options) for table in ("plain", "watched")})
        without, with_ = ([rate for rate, _ in runs] for runs in results.values())
        if name == "1 row":
            texts = [f"{statistics.median(rates):,.0f} a s" for rates in (without, with_)]
        else:
            texts = [f"{statistics.median(time for _, time in runs):,.2f} ms" for runs in results.values()]
        print(f"{name:28}{texts[0]:>14}{texts[1]:>14}{paired(with_, without):9.2f}x")
