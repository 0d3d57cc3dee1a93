"""Latency of cached reads at a fixed rate, half of what the constant server can do at most."""

import statistics

from common import CONNECTIONS, SECONDS, alternate, fields, output_of, paired, tool

NAME = "tail"
QUANTILES = ("p50", "p99", "p999", "max")


def measure(bench):
    cached, constant = bench.cached(), bench.constant()
    rate = int(bench.constant_rate() / 2)

    def run(port):
        return fields(output_of([tool("rate"), f"127.0.0.1:{port}", str(rate), str(SECONDS + 1), str(CONNECTIONS)]))

    results = alternate({"cached": lambda: run(cached), "constant hyper server": lambda: run(constant)})
    print(f"{f'{rate:,} requests a second':28}" + "".join(f"{f'{name} (us)':>14}" for name in QUANTILES))
    for name, runs in results.items():
        medians = (statistics.median(float(one[quantile]) for one in runs) for quantile in QUANTILES)
        print(f"{name:28}" + "".join(f"{value:14,.1f}" for value in medians))
    middle = statistics.median(float(one["p50"]) for one in results["constant hyper server"])
    # Otherwise the machine cannot keep the rate, and the ratio says nothing.
    bench.bound("p50 of the constant server in ms", middle / 1000, most=1)
    tails = [[float(one["p99"]) for one in runs] for runs in results.values()]
    bench.bound("p99 of cached, of the constant server's", paired(*tails), most=1.2)
