"""On a real link that is cut, our kernel does not deliver a call that we gave up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import httpx
import pytest

from tests.support.dark_link import Link, dark_link, unacknowledged, why_not
from worker.errors import EffectUnknown
from worker.wix.client import ClientFactory, WixStore

REASON = why_not()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON or "possible here")

ROOT = Path(__file__).parents[3]
#: Total timeout of a call here; the kernel retransmits 0.2, 0.6, 1.4 and 3.0 s after the call.
TOTAL_MS = 1_000

#: A program that sends a refund call while the link is cut, and waits for the answer.
CALLER = """
import sys
from worker.wix.client import ClientFactory
factory = ClientFactory(sys.argv[1], connect_timeout_ms=60_000, read_timeout_ms=60_000,
                        total_timeout_ms={total_ms})
def sent():
    print("sending", flush=True)
    sys.stdin.readline()
store = factory.store("site", "IST.key", before_mutation=lambda: None)
store.get_order("o")
store = factory.store("site", "IST.key", before_mutation=sent)
store.cancel_order("o", restock=False, notify_buyer=False)
"""


@pytest.fixture
def link() -> Iterator[Link]:
    """A link to the far host."""
    with dark_link() as link:
        yield link


@pytest.fixture
def far(link: Link) -> Iterator[tuple[str, IO[bytes]]]:
    """The address of Wix on the far host, and the lines that it prints."""
    program = link.run(sys.executable, str(ROOT / "tests" / "support" / "far_wix.py"), link.far)
    assert program.stdout is not None
    yield f"http://{link.far}:{int(program.stdout.readline())}", program.stdout
    # Not SIGKILL: `timeout`, which runs the program, passes SIGTERM on to it.
    program.terminate()
    program.wait()
    program.stdout.close()


def _store(address: str, link: Link, transport: httpx.BaseTransport | None = None) -> WixStore:
    factory = ClientFactory(
        address,
        connect_timeout_ms=TOTAL_MS,
        read_timeout_ms=TOTAL_MS,
        total_timeout_ms=TOTAL_MS,
        transport=(lambda: transport) if transport else None,
    )
    # The connection must be open when the link is cut: otherwise there is nothing to deliver.
    store = factory.store("site", "IST.key", before_mutation=link.darken)
    assert store.get_order("o").status == "APPROVED"
    return store


def test_a_call_that_timed_out_in_the_dark_is_never_delivered(
    link: Link, far: tuple[str, IO[bytes]]
) -> None:
    """The kernel drops it; when the link is back, only the later call arrives."""
    address, lines = far
    with pytest.raises(EffectUnknown, match="ReadTimeout"):
        _store(address, link).cancel_order("o", restock=False, notify_buyer=False)
    assert unacknowledged(link.far) == 0
    link.light()
    # The far end still holds its half of the old connection; the later call takes a new one.
    assert httpx.get(f"{address}/later", trust_env=False).status_code == 200
    arrived = [lines.readline(), lines.readline()]
    assert arrived == [b"GET /ecom/v1/orders/o\n", b"GET /later\n"]


def test_without_our_options_the_kernel_keeps_the_call_and_delivers_it(
    link: Link, far: tuple[str, IO[bytes]]
) -> None:
    """With httpx's own transport the call is delivered late, so the test above can fail."""
    address, lines = far
    store = _store(address, link, httpx.HTTPTransport())
    with pytest.raises(EffectUnknown, match="ReadTimeout"):
        store.cancel_order("o", restock=False, notify_buyer=False)
    assert unacknowledged(link.far) > 0
    link.light()
    # Blocks until the kernel's next retransmission, some three seconds after the call.
    arrived = [lines.readline(), lines.readline()]
    assert arrived == [b"GET /ecom/v1/orders/o\n", b"POST /ecom/v1/orders/o/cancel\n"]


@pytest.mark.parametrize("end", ["killed", "frozen"])
def test_a_worker_that_ends_in_the_dark_leaves_nothing_behind(
    end: str, link: Link, far: tuple[str, IO[bytes]]
) -> None:
    """Killed: the kernel resets the connection. Frozen: it gives up after the total timeout."""
    address, _ = far
    total_ms = 2_000 if end == "frozen" else 60_000
    program = subprocess.Popen(
        [sys.executable, "-c", CALLER.format(total_ms=total_ms), address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    with program:
        assert program.stdout is not None
        assert program.stdin is not None
        assert program.stdout.readline() == b"sending\n"
        link.darken()
        program.stdin.write(b"\n")
        program.stdin.flush()
        _until(lambda: unacknowledged(link.far) > 0)
        os.kill(program.pid, signal.SIGSTOP if end == "frozen" else signal.SIGKILL)
        _until(lambda: unacknowledged(link.far) == 0)
        program.kill()


def _until(is_true: Callable[[], bool], limit_s: float = 30.0) -> None:
    end = time.monotonic() + limit_s
    while not is_true():
        assert time.monotonic() < end, "did not happen in time"
