"""A child process on a leash: when its owner lets go, or dies in any way, the whole family ends.

`python -m apps.cli.leash COMMAND...` runs COMMAND in its own process group and watches standard
input. When that closes, every process of the group gets SIGTERM, and SIGKILL a little later. The
kernel closes the pipe even if the owner was killed with -9, so no server is ever orphaned.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final

GRACE_SECONDS: Final = 8.0


def main(command: Sequence[str]) -> int:
    """Run `command` until it ends or the leash is let go; the exit code is the command's."""
    # The owner starts this process as the leader of a new group, so a Ctrl-C in the terminal goes
    # to the owner alone, who then lets go. A handler, since the child would inherit SIG_IGN.
    signal.signal(signal.SIGTERM, lambda *_: None)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    while child.poll() is None:
        readable, _, _ = select.select([sys.stdin], [], [], 0.1)
        if readable and not os.read(sys.stdin.fileno(), 1):
            break
    code = child.poll()
    end_family(child)
    return code if code is not None else 0


def end_family(child: subprocess.Popen[bytes]) -> None:
    """Ask every process of this group to end, wait, then insist."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(0, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline and (child.poll() is None or family()):
        time.sleep(0.05)
    for pid in family():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def family() -> list[int]:
    """Other living processes of this group."""
    import psutil

    group, me, members = os.getpgrp(), os.getpid(), []
    for process in psutil.process_iter(["status"]):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            dead = process.info["status"] == psutil.STATUS_ZOMBIE
            if not dead and process.pid != me and os.getpgid(process.pid) == group:
                members.append(process.pid)
    return members


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
