"""The price of the triggers: writes without them, with events of rows, and with events of keys alone.

One instance listens to each table that has some.
"""

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
    tables = ("plain", "watched", "watched_keys")
    for table in tables:
        psql(
            f"CREATE TABLE {table} (id int PRIMARY KEY, n int, pad text) WITH (autovacuum_enabled = off);"
            f"INSERT INTO {table} SELECT n, 0, repeat('x', 60) FROM generate_series(1, {ROWS}) n"
        )
    output_of([SWITCHBOARD, "rows", "triggers", "install", "--database", os.environ["DATABASE_URL"], "--table", "watched"])
    bench.start("watched", [*bench.command(18006), "--table", "watched"], 18006, "/readyz")
    # Installs its triggers itself.
    config = bench.file("keys.toml", '[[rows.table]]\nname = "watched_keys"\nevents = "keys"\n')
    bench.start("watched_keys", [*bench.command(18007), "--config", config], 18007, "/readyz")

    def run(table, statement, options):
        # Dead rows of the run before would cost this one their cleaning.
        psql(f"VACUUM {table}")
        return bench.pgbench(statement.format(table=table, rows=ROWS), *options)

    print(f"{'UPDATE of':28}{'without':>14}{'rows':>14}{'of it':>8}{'keys':>14}{'of it':>8}")
    for name, (statement, options) in WRITES.items():
        results = alternate({table: lambda table=table: run(table, statement, options) for table in tables})
        rates = {table: [rate for rate, _ in runs] for table, runs in results.items()}
        if name == "1 row":
            texts = [f"{statistics.median(rates[table]):,.0f} a s" for table in tables]
        else:
            texts = [f"{statistics.median(time for _, time in runs):,.2f} ms" for runs in results.values()]
        ratios = [paired(rates[table], rates["plain"]) for table in tables]
        print(f"{name:28}{texts[0]:>14}" + "".join(f"{text:>14}{ratio:7.2f}x" for text, ratio in zip(texts[1:], ratios[1:])))
