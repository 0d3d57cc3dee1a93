"""Sends every signal to the process of a command line, and looks at what the command in it gets.

Arguments: `pty` or `pipe`, then the command line that runs the agent; a command is appended to it.
"""

import os
import pty
import resource
import select
import signal
import subprocess
import sys

PATIENCE = 25
# The kernel lets nobody have 9 and 19, the C library nobody 32 and 33.
KEPT = {9, 19, 32, 33}
# What does not end a process that has made no provision.
HARMLESS = {signal.SIGCHLD, signal.SIGCONT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGURG, signal.SIGWINCH}
WAITER = """
import os, signal, sys
every = signal.valid_signals() - {9, 19}
signal.pthread_sigmask(signal.SIG_BLOCK, every)
print("ready", os.getpid(), flush=True)
while True:
    number = int(signal.sigwaitinfo(every).si_signo)
    if number == 64 and "group" in sys.argv:
        # As an editor does that stops itself.
        os.kill(0, signal.SIGUSR2)
    print("got", number, flush=True)
"""


class Output:
    """The lines of a process, pipe or terminal."""

    def __init__(self, file):
        self.file, self.rest = file, b""

    def line(self):
        while b"\n" not in self.rest:
            if not select.select([self.file], [], [], PATIENCE)[0]:
                sys.exit(f"nothing within {PATIENCE} s; seen: {self.rest!r}")
            self.rest += os.read(self.file, 4096)
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode().strip()

    def expect(self, wanted):
        line = self.line()
        if line != wanted:
            sys.exit(f"{line!r}, not {wanted!r}")


def start(kind, command):
    if kind == "pty":
        child, terminal = pty.fork()
        if child == 0:
            os.execvp(command[0], command)
        return child, Output(terminal)
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    return process.pid, Output(process.stdout.fileno())


def every_signal_arrives_once(kind, agent):
    child, output = start(kind, [*agent, sys.executable, "-c", WAITER, *(["group"] if kind == "pty" else [])])
    ready, command = output.line().split()
    assert ready == "ready", ready
    for number in sorted(set(range(1, 65)) - KEPT):
        os.kill(child, number)
        output.expect(f"got {number}")
        if number == 64 and kind == "pty":
            # What the command sends to its group, which is the agent's as well, it has already.
            output.expect(f"got {int(signal.SIGUSR2)}")
    # Nothing came twice, or it would stand before this.
    os.kill(child, signal.SIGUSR1)
    output.expect(f"got {int(signal.SIGUSR1)}")
    os.kill(int(command), signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == 137, code


def each_ends_the_command_as_it_would_without_the_agent(agent):
    for number in sorted(set(range(1, 65)) - KEPT - HARMLESS):
        process = subprocess.Popen([*agent, "sh", "-c", "echo $$; exec sleep 60"], stdout=subprocess.PIPE)
        output = Output(process.stdout.fileno())
        command = int(output.line())
        os.kill(process.pid, number)
        code = process.wait(PATIENCE)
        process.stdout.close()
        assert code == 128 + number, f"signal {number}: {code}"
        assert not os.path.exists(f"/proc/{command}"), f"signal {number} has left the command"


def masks(command):
    status = subprocess.run([*command, "cat", "/proc/self/status"], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = [line.split() for line in status.splitlines() if line.startswith(("SigBlk", "SigIgn"))]
    # 32 and 33 are the C library's: it ignores them in what it spawns.
    return [(name, int(mask, 16) & ~(3 << 31)) for name, mask in found]


def main():
    kind, agent = sys.argv[1], sys.argv[2:]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM]:
        signal.signal(number, signal.SIG_DFL)
    every_signal_arrives_once(kind, agent)
    if kind == "pipe":
        each_ends_the_command_as_it_would_without_the_agent(agent)
        for ignored in [None, signal.SIGHUP, signal.SIGRTMIN]:
            if ignored:
                signal.signal(ignored, signal.SIG_IGN)
            assert masks(agent) == masks(["env"]), (masks(agent), masks(["env"]))
        # Whoever ignores this has no exit codes; the agent has the command's all the same.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        child = os.spawnvp(os.P_NOWAIT, agent[0], [*agent, "sh", "-c", "echo ended > /dev/null; exit 7"])
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code == 7, code
    print("Done.", flush=True)


main()
