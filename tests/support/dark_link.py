"""A host behind a link that can be cut: a network namespace and a pair of virtual interfaces.

Needs root and `ip` (Debian package iproute2). All traffic stays on this machine.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: The two ends of the link; these addresses are reserved for documentation (RFC 5737).
NEAR, FAR = "198.51.100.1", "198.51.100.2"
#: The name of the namespace, and of the near end of the link.
NAME = "refunds-link"
FAR_MAC = "02:00:00:00:00:02"


def why_not() -> str:
    """Return why this machine cannot make the link, "" if it can."""
    if not sys.platform.startswith("linux"):
        return "network namespaces exist on Linux only"
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not shutil.which("ip"):
        return "the program `ip` is missing (Debian package iproute2)"
    try:
        with dark_link():
            return ""
    except subprocess.CalledProcessError as error:
        return f"network namespaces are not allowed here: {error.stderr.decode().strip()}"


class Link:
    """The link to the far host."""

    def run(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a program on the far host; its standard output is a pipe.

        It ends after a minute, so that a test which reads from it does not wait for ever.
        """
        return subprocess.Popen(
            ["ip", "netns", "exec", NAME, "timeout", "60", *command], stdout=subprocess.PIPE
        )

    def darken(self) -> None:
        """Drop every packet in both directions, as if the cable were unplugged."""
        _ip("-n", NAME, "link", "set", "far", "down")

    def light(self) -> None:
        """Let packets through again."""
        _ip("-n", NAME, "link", "set", "far", "up")


@contextmanager
def dark_link() -> Iterator[Link]:
    """Make the far host and the link to it; both are removed afterwards.

    Only one at a time on a machine, because the addresses are fixed. Leftovers of a killed run are
    removed first.
    """
    with (Path(tempfile.gettempdir()) / f"{NAME}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _remove()
        try:
            _ip("netns", "add", NAME)
            peer = ("peer", "name", "far", "address", FAR_MAC, "netns", NAME)
            _ip("link", "add", NAME, "type", "veth", *peer)
            _ip("addr", "add", f"{NEAR}/30", "dev", NAME)
            _ip("link", "set", NAME, "up")
            # Else the near end asks who has the address, holds the packet meanwhile, and sends it
            # when the link is back: a delay of at most three seconds, which is not what we test.
            _ip("neigh", "replace", FAR, "lladdr", FAR_MAC, "dev", NAME, "nud", "permanent")
            _ip("-n", NAME, "addr", "add", f"{FAR}/30", "dev", "far")
            _ip("-n", NAME, "link", "set", "far", "up")
            yield Link()
        finally:
            _remove()


def _remove() -> None:
    subprocess.run(["ip", "link", "delete", NAME], check=False, capture_output=True)
    subprocess.run(["ip", "netns", "delete", NAME], check=False, capture_output=True)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def unacknowledged(address: str) -> int:
    """Return how many bytes this machine's kernel still tries to deliver to *address*.

    They may belong to a socket that no program has open any more.
    """
    wanted = f"{int.from_bytes(socket.inet_aton(address), sys.byteorder):08X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(int(row[4].split(":")[0], 16) for row in rows if row[2].startswith(wanted))
