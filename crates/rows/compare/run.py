#!/usr/bin/env python3
"""Compares the rows service with what else there is. Started by `crates/rows/compare/run`, with a database in DATABASE_URL.

usage: run.py [reads|limit|tail|strong|events|triggers]...     (all unless named)

Figures are medians of PAIRS runs of each, in turn. Exit code 1: a bound was missed.
"""

import sys
import time

import events
import limit
import reads
import strong
import tail
import triggers
from common import Bench

PARTS = {part.NAME: part for part in (reads, limit, tail, strong, events, triggers)}


def main():
    names = sys.argv[1:] or list(PARTS)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        sys.exit(f"there is no part {', '.join(unknown)}: {', '.join(PARTS)}")
    with Bench() as bench:
        for name in names:
            begun = time.monotonic()
            PARTS[name].measure(bench)
            print(f"({name}: {time.monotonic() - begun:.0f} s)\n", flush=True)
    for kept, text in bench.bounds:
        print(f"{'kept  ' if kept else 'MISSED'} {text}")
    return not all(kept for kept, _ in bench.bounds)


if __name__ == "__main__":
    sys.exit(main())
