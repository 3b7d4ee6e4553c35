"""A host behind a link that can be cut: a network namespace and a pair of virtual interfaces.

Needs root and `ip` (Debian package iproute2). All traffic stays on this machine.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

#: The networks of the links; these addresses are reserved for documentation (RFC 5737).
NETWORKS = "198.51.100."
FAR_MAC = "02:00:00:00:00:02"
#: From the kernel's header `sched.h`; Python knows it, and `setns`, from version 3.12 on.
CLONE_NEWNET = 0x40000000
Result = TypeVar("Result")


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

    def __init__(self, number: int) -> None:
        self.name = f"refunds-link-{number}"
        """Of the namespace, and of the near end of the link."""
        self.near, self.far = (f"{NETWORKS}{4 * number + end}" for end in (1, 2))

    def run(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a program on the far host; its standard output is a pipe.

        It ends after a minute, so that a test which reads from it does not wait for ever.
        """
        return subprocess.Popen(
            ["ip", "netns", "exec", self.name, "timeout", "60", *command], stdout=subprocess.PIPE
        )

    def call(self, function: Callable[[], Result]) -> Result:
        """Call a function of this program on the far host.

        Sockets that it opens belong to that host for good, and so do threads that it starts.
        """
        results: list[Result] = []

        def cross() -> None:
            with Path(f"/run/netns/{self.name}").open("rb") as namespace:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(namespace.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns failed")
            results.append(function())

        thread = threading.Thread(target=cross)
        thread.start()
        thread.join()
        return results[0]

    def darken(self) -> None:
        """Drop every packet in both directions, as if the cable were unplugged."""
        _ip("-n", self.name, "link", "set", "far", "down")

    def light(self) -> None:
        """Let packets through again."""
        _ip("-n", self.name, "link", "set", "far", "up")


@contextmanager
def dark_link(number: int = 0) -> Iterator[Link]:
    """Make the far host and the link to it; both are removed afterwards.

    Each *number* has its own addresses, and exists once on a machine: another program that wants
    the same one waits. Leftovers of a killed run are removed first.
    """
    link = Link(number)
    with (Path(tempfile.gettempdir()) / f"{link.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _remove(link)
        try:
            _make(link)
            yield link
        finally:
            _remove(link)


def _make(link: Link) -> None:
    _ip("netns", "add", link.name)
    peer = ("peer", "name", "far", "address", FAR_MAC, "netns", link.name)
    _ip("link", "add", link.name, "type", "veth", *peer)
    _ip("addr", "add", f"{link.near}/30", "dev", link.name)
    _ip("link", "set", link.name, "up")
    # Else the near end asks who has the address, holds the packet meanwhile, and sends it when the
    # link is back: a delay of at most three seconds, which is not what we test.
    known = ("lladdr", FAR_MAC, "dev", link.name, "nud", "permanent")
    _ip("neigh", "replace", link.far, *known)
    _ip("-n", link.name, "addr", "add", f"{link.far}/30", "dev", "far")
    _ip("-n", link.name, "link", "set", "far", "up")


def _remove(link: Link) -> None:
    subprocess.run(["ip", "link", "delete", link.name], check=False, capture_output=True)
    subprocess.run(["ip", "netns", "delete", link.name], check=False, capture_output=True)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def unacknowledged(address: str) -> int:
    """Return how many bytes this machine's kernel still tries to deliver to *address*.

    They may belong to a socket that no program has open any more.
    """
    wanted = f"{int.from_bytes(socket.inet_aton(address), sys.byteorder):08X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(int(row[4].split(":")[0], 16) for row in rows if row[2].startswith(wanted))
