"""Processes, tables and bounds that all comparisons share."""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
PAIRS = int(os.environ.get("PAIRS", "7"))
SECONDS = int(os.environ.get("SECONDS_EACH", "2"))
ROWS = 100
CONNECTIONS = 16
SWITCHBOARD = os.environ["PROGRAM"]
LIBRARY = os.environ["LIBRARY"]
PYTHON = os.path.join(ROOT, "target/rows-compare/bin/python")


def tool(name):
    return os.path.join(HERE, "target/release", name)


def wait_for(url):
    for _ in range(600):
        try:
            if urllib.request.urlopen(url, timeout=5).status == 200:
                return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"{url} does not answer")


def source_of(port, path, consistency="cached"):
    """Where the service says that the row came from."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Consistency": consistency})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.headers["X-Cache"]


def psql(sql):
    subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-c", sql], check=True)


def output_of(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def number(pattern, text):
    """The number that a tool has printed."""
    found = re.search(pattern, text)
    return float(found[1]) if found else sys.exit(f"there is no {pattern} in: {text}")


def fields(line):
    """Reads `name=value` pairs."""
    return dict(part.split("=", 1) for part in line.split())


class Bench:
    """Processes that live until the end of the run, each started when it is first asked for."""

    def __init__(self):
        self.folder = tempfile.mkdtemp()
        self.processes = {}
        self.rate = None
        self.bounds = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait()
        shutil.rmtree(self.folder)

    def start(self, name, command, port, path):
        if name not in self.processes:
            self.processes[name] = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=None if command[0] == SWITCHBOARD else subprocess.DEVNULL
            )
            wait_for(f"http://127.0.0.1:{port}{path}")
        return port

    def command(self, port):
        return [SWITCHBOARD, "rows", "--listen", f"127.0.0.1:{port}", "--log", "error"]

    def service(self, port, *options):
        return self.start(port, [*self.command(port), *options], port, "/readyz")

    def read_all(self, port, table="patron"):
        for key in range(1, ROWS + 1):
            wait_for(f"http://127.0.0.1:{port}/{table}/{key}")

    def cached(self, port=18001):
        """The service with the table `patron`, whose rows it has cached."""
        self.service(port)
        psql(
            "INSERT INTO patron (id, name, fav_dish) SELECT n, 'name ' || n, repeat('x', 60) "
            f"FROM generate_series(1, {ROWS}) n ON CONFLICT (id) DO NOTHING"
        )
        self.read_all(port)
        return port

    def constant(self):
        """The plain hyper server with a constant answer."""
        return self.start("constant", [tool("constant"), "127.0.0.1:18003"], 18003, "/patron/1")

    def constant_rate(self):
        """Requests a second of the constant server, measured once a run."""
        if self.rate is None:
            port = self.constant()
            self.rate = statistics.median(self.wrk(port) for _ in range(3))
        return self.rate

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def wrk(self, port, connections=CONNECTIONS, table="patron", consistency=None, threads=1, depth=1, core=None):
        """Requests a second of a closed loop. Each connection has `depth` requests in flight (pipelining)."""
        header = f'{{["Consistency"] = "{consistency}"}}' if consistency else "nil"
        script = self.file(
            "get.lua",
            f"""
local n = 0
local function get()
    n = n % {ROWS} + 1
    return wrk.format("GET", "/{table}/" .. n, {header})
end
request = function()
    local requests = get()
    for _ = 2, {depth} do
        requests = requests .. get()
    end
    return requests
end
""",
        )
        tool = ["wrk", f"-t{threads}", "-c", str(connections), "-d", f"{SECONDS}s", "-s", script, f"http://127.0.0.1:{port}"]
        text = output_of(tool if core is None else ["taskset", "-c", str(core), *tool])
        if "Non-2xx" in text or "Socket errors" in text:
            sys.exit(text)
        return number(r"Requests/sec:\s+([\d.]+)", text)

    def processor_time(self, name):
        """Seconds of processor time that a process and its children have had."""
        pid = self.processes[name].pid
        children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
        total = 0
        for process in (pid, *children):
            with open(f"/proc/{process}/stat") as file:
                total += sum(int(field) for field in file.read().rsplit(")", 1)[1].split()[11:13])
        return total / os.sysconf("SC_CLK_TCK")

    def pin(self, name, core):
        """Lets a process and its children run on one core, or on all."""
        pid = self.processes[name].pid
        children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
        cores = f"0-{os.cpu_count() - 1}" if core is None else str(core)
        for process in (pid, *children):
            output_of(["taskset", "-a", "-p", "-c", cores, str(process)])

    def pgbench(self, sql, *options):
        """Transactions a second, and the mean time of one in milliseconds."""
        text = output_of(["pgbench", "-n", "-M", "prepared", "-f", self.file("statement.sql", sql), "-j", "1", *options])
        if number(r"number of failed transactions: (\d+)", text):
            sys.exit(text)
        return number(r"tps = ([\d.]+) \(without", text), number(r"latency average = ([\d.]+) ms", text)

    def bound(self, name, value, least=None, most=None):
        """Notes whether a ratio is within its bound."""
        kept = (least is None or value >= least) and (most is None or value <= most)
        limit = f"at least {least}" if least is not None else f"at most {most}"
        self.bounds.append((kept, f"{name}: {value:.2f}, {limit}"))


def alternate(runs):
    """Runs one of each, again and again, so that what disturbs the machine disturbs all of them."""
    results = {name: [] for name in runs}
    for _ in range(PAIRS):
        for name, run in runs.items():
            results[name].append(run())
    return results


def paired(ours, others):
    """The median of the ratios of paired runs."""
    return statistics.median(one / other for one, other in zip(ours, others))
