"""`refunds stores connect`: where the values come from."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from tests.support.processes import PATIENCE_S, REFUNDS, environment_without_settings
from tests.support.rig import KEY, STORE_ID
from tests.support.shop import Shop


def test_connect_with_a_key_file(shop: Shop) -> None:
    """Progress and result on standard error, the checklist on standard output; exit code 0."""
    done = shop.connect()
    assert done.exit_code == 0
    assert "1/5 key and site" in done.stderr
    assert "5/5 currencies" in done.stderr
    assert "Connected: Coffee and more (USD, America/New_York)." in done.stderr
    assert done.stdout.count("✓") == 4
    assert "cannot be verified" in done.stdout
    assert shop.rig.stores.find(STORE_ID).state == "connected"


def test_connect_reads_json_from_standard_input(shop: Shop) -> None:
    """For an onboarding service: one document in, one out, with what was cleaned."""
    stdin = shop.pasted(
        site_id=f"https://manage.wix.com/dashboard/{STORE_ID}/home", api_key=f"Bearer {KEY}"
    )
    printed = shop.json("connect", "--stdin", stdin=stdin)
    assert (printed["ok"], printed["reason"], printed["store_id"]) == (True, "connected", STORE_ID)
    assert printed["cleaned"] == [
        "API Key: removed a leading “Bearer”",
        "Site ID: taken from the dashboard's URL",
    ]
    assert {check["verdict"] for check in printed["checks"]} == {"ok", "unknown"}


def test_connect_takes_the_key_from_a_pipe(shop: Shop) -> None:
    """`--api-key-file -`."""
    ids = ("--site", STORE_ID, "--account", shop.rig.account_id)
    assert shop.run("connect", *ids, "--api-key-file", "-", stdin=KEY).exit_code == 0


def _has_terminals() -> bool:
    try:
        for end in os.openpty():
            os.close(end)
    except OSError:
        return False
    return True


@pytest.mark.skipif(not _has_terminals(), reason="this machine has no pseudo-terminals (/dev/pts)")
def test_connect_prompts_at_a_terminal_and_does_not_echo_the_key(shop: Shop) -> None:
    """With a real terminal, as a person types."""
    program = [*REFUNDS, "stores", "connect"]
    terminal = subprocess.Popen(
        [sys.executable, "-c", f"import pty; pty.spawn({program!r})"],
        env=environment_without_settings() | shop.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert terminal.stdin is not None
    assert terminal.stdout is not None
    # Killing it ends the output, and so every wait below.
    deadline = threading.Timer(PATIENCE_S, terminal.kill)
    deadline.start()
    seen = b""
    # The last characters of the prompt appear when echo is off; input before that is lost.
    answers = {b"Site ID": STORE_ID, b"Account ID": shop.rig.account_id, b"not shown): ": KEY}
    try:
        for question, answer in answers.items():
            while question not in seen:
                chunk = terminal.stdout.read1(4096)  # type: ignore[attr-defined]  # it is buffered
                assert chunk, seen
                seen += chunk
            terminal.stdin.write(f"{answer}\n".encode())
            terminal.stdin.flush()
        seen += terminal.stdout.read()
    finally:
        deadline.cancel()
        terminal.kill()
        terminal.communicate()
    assert b"Connected: Coffee and more" in seen
    assert KEY.encode() not in seen
