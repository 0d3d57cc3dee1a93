"""A user at a terminal who looks at `top`: waits until it shows all that is wanted, and presses q.

Arguments: words that must be on the screen (blanks between words are skipped, not drawn), then `--`, then the command line.
"""

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time

PATIENCE = 20


def main():
    split = sys.argv.index("--")
    wanted, command = sys.argv[1:split], sys.argv[split + 1 :]
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm"
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 150, 0, 0))
        os.execvp(command[0], command)
    seen = ""
    # It draws again and again, so silence alone is no bound.
    until = time.monotonic() + PATIENCE
    while not all(text in seen for text in wanted):
        if time.monotonic() > until or not select.select([terminal], [], [], PATIENCE)[0]:
            sys.exit(f"not within {PATIENCE} s: {wanted}; seen: {seen!r}")
        seen += os.read(terminal, 65536).decode(errors="replace")
    os.write(terminal, b"q")
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:
        # The other side is gone.
        pass
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(f"Done: {code}", flush=True)


main()
