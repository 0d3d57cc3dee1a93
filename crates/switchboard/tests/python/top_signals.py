"""Looks at the terminal that `top` leaves behind, whatever ends or stops it.

Arguments: the command line of `top`.
"""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

PATIENCE = 25
ENDING = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGALRM, signal.SIGABRT, signal.SIGTRAP, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGXCPU, signal.SIGIO, signal.SIGPROF, signal.SIGVTALRM, signal.SIGPWR, signal.SIGSYS, signal.SIGSTKFLT, 34, 64]
# Signals whose default action the program cannot take: its exit code says which one it was.
UNNAMED = [signal.SIGIO, signal.SIGPWR, signal.SIGSTKFLT, 34, 64]
LEAVES = "\x1b[?1049l"
ENTERS = "\x1b[?1049h"
SHOWS_CURSOR = "\x1b[?25h"


class Terminal:
    def __init__(self, command):
        self.child, self.file = pty.fork()
        if self.child == 0:
            for number in range(1, 32):
                if number not in (9, 19):
                    signal.signal(number, signal.SIG_DFL)
            os.environ["TERM"] = "xterm"
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 110, 0, 0))
            os.execvp(command[0], command)
        self.seen = ""

    def until(self, text):
        """Reads until the text is there; what came after it is kept."""
        until = time.monotonic() + PATIENCE
        while text not in self.seen:
            if time.monotonic() > until or not select.select([self.file], [], [], PATIENCE)[0]:
                sys.exit(f"no {text!r} within {PATIENCE} s; seen: {self.seen[-2000:]!r}")
            self.seen += os.read(self.file, 65536).decode(errors="replace")
        before, self.seen = self.seen.split(text, 1)
        return before

    def write(self, text):
        os.write(self.file, text.encode())

    def rest(self):
        try:
            while part := os.read(self.file, 65536):
                self.seen += part.decode(errors="replace")
        except OSError:
            # The other side is gone.
            pass
        return self.seen

    def is_raw(self):
        return not termios.tcgetattr(self.file)[3] & termios.ICANON


def ends(command, number):
    terminal = Terminal(command)
    terminal.until("watched")
    # The pty is closed with its last holder: it is looked at afterwards through this one.
    holder = os.open(os.readlink(f"/proc/{terminal.child}/fd/0"), os.O_RDWR | os.O_NOCTTY)
    assert terminal.is_raw(), "it is not raw while it shows"
    os.kill(terminal.child, number)
    code = os.waitstatus_to_exitcode(os.waitpid(terminal.child, 0)[1])
    assert not terminal.is_raw(), f"signal {number} leaves raw mode behind"
    os.close(holder)
    rest = terminal.rest()
    assert LEAVES in rest and SHOWS_CURSOR in rest.split(LEAVES)[1], (number, rest[-300:])
    expected = [-number, 128 + number] if number in UNNAMED else [-number]
    assert code in expected, (number, code)


def stops_and_goes_on(command, stop):
    shell = Terminal(["bash", "--norc", "--noprofile", "-i"])
    shell.write("PS1='prom''pt> '; stty -echo\n")
    shell.until("prompt> ")
    shell.write(" ".join(command) + "\n")
    shell.until("watched")
    stop(shell)
    assert LEAVES in shell.until("Stopped")
    shell.until("prompt> ")
    shell.write("stty -a | grep -o -e '-\\?icanon'\n")
    assert "-icanon" not in shell.until("icanon")
    shell.until("prompt> ")
    shell.write("fg\n")
    shell.until(ENTERS)
    shell.until("watched")
    assert shell.is_raw()
    shell.write("q")
    shell.until("prompt> ")
    shell.write("echo code=$?\n")
    shell.until("code=0")
    shell.write("exit\n")


def goes_on_in_the_background(command):
    shell = Terminal(["bash", "--norc", "--noprofile", "-i"])
    shell.write("PS1='prom''pt> '; stty -echo\n")
    shell.until("prompt> ")
    shell.write(" ".join(command) + "\n")
    shell.until("watched")
    shell.write("\x1a")
    shell.until("Stopped")
    shell.until("prompt> ")
    # The terminal is the shell's: who would show something stops again.
    shell.write("bg\n")
    shell.until("prompt> ")
    shell.write("wait\nstty -a | grep -o -e '-\\?icanon'\n")
    shown = shell.until("icanon")
    assert "stopped" in shown.lower() and ENTERS not in shown and not shown.endswith("-"), shown
    shell.until("prompt> ")
    shell.write("fg\n")
    shell.until(ENTERS)
    shell.until("watched")
    shell.write("q")
    shell.until("prompt> ")
    shell.write("exit\n")


def main():
    command = sys.argv[1:]
    for number in ENDING:
        ends(command, int(number))
    stops_and_goes_on(command, lambda shell: shell.write("\x1a"))

    for number in [signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU]:
        stops_and_goes_on(command, lambda shell: os.kill(os.tcgetpgrp(shell.file), number))
    goes_on_in_the_background(command)
    print("Done.", flush=True)


main()
