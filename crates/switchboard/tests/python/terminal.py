"""Runs a command in a terminal of its own. A line on the standard input closes the terminal; then prints the
command's exit code, negative for a signal."""

import os
import pty
import select
import sys

child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[1], sys.argv[1:])

while True:
    ready, _, _ = select.select([0, terminal], [], [])
    if 0 in ready:
        break
    os.write(1, os.read(terminal, 4096).replace(b"\r\n", b"\n"))
os.close(terminal)
_, status = os.waitpid(child, 0)
print("Exit code:", os.waitstatus_to_exitcode(status), flush=True)
