"""A user at a terminal: an interactive shell on a pseudo-terminal, Ctrl-Z, fg, Ctrl-C.

Arguments: the command line to run, which must start `cat` in the end.
"""

import os
import pty
import select
import sys

PATIENCE = 20


def main():
    child, terminal = pty.fork()
    if child == 0:
        environment = {"PATH": os.environ["PATH"], "PS1": "prompt> ", "TERM": "dumb", "LC_ALL": "C"}
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], environment)
    seen = passed = ""

    def until(text):
        nonlocal seen, passed
        while text not in seen:
            if not select.select([terminal], [], [], PATIENCE)[0]:
                sys.exit(f"no {text!r} within {PATIENCE} s; seen: {seen!r}")
            seen += os.read(terminal, 4096).decode()
        passed, seen = seen.split(text, 1)

    def write(text):
        os.write(terminal, text.encode())

    until("prompt> ")
    write("stty -echo\n")
    until("prompt> ")
    write(" ".join(sys.argv[1:]) + "\n")
    write("one\n")
    until("one\r\n")
    write("\x1a")
    # The shell has its terminal back.
    until("Stopped")
    until("prompt> ")
    write("echo between=$((20 + 3))\n")
    until("between=23")
    write("fg\n")
    until("cat")
    write("two\n")
    until("two\r\n")
    write("\x03")
    until("prompt> ")
    write("echo code=$?\n")
    until("code=130")
    # In the background it stops when it reads.
    write(" ".join(sys.argv[1:]) + " &\n")
    until("prompt> ")
    stopped = False
    while not stopped:
        write("jobs\n")
        until("prompt> ")
        stopped = "Stopped" in passed
    write("fg\n")
    until("cat")
    write("three\n")
    until("three\r\n")
    write("\x03")
    until("prompt> ")
    write("exit\n")
    print("Done.", flush=True)


main()
