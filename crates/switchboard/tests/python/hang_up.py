"""Runs a command as the leader of a terminal's session, and closes the terminal once the command has written a line.

Prints the leader's exit code, and "All ended." once nobody holds what every process of the command inherits.
"""

import os
import pty
import signal
import sys

# A process that stays would keep this one for ever.
signal.alarm(25)
held, inherited = os.pipe()
os.set_inheritable(inherited, True)
child, terminal = pty.fork()
if child == 0:
    os.close(held)
    os.execvp(sys.argv[1], sys.argv[1:])

os.close(inherited)
text = b""
while b"\n" not in text:
    text += os.read(terminal, 4096)
os.close(terminal)
_, status = os.waitpid(child, 0)
print("Exit code:", os.waitstatus_to_exitcode(status), flush=True)
while os.read(held, 1):
    pass
print("All ended.", flush=True)
