"""The trial write knows each command of each script."""

from __future__ import annotations

import re

from tests.house.documents import ROOT
from worker.operations.trial import COMMANDS, UPSTREAMS

#: Chosen while a script runs, so they stand there as other texts.
CHOSEN = {"LPOP", "RPOP", "ZRANK", "ZREVRANK", "ZRANGEBYSCORE", "ZREVRANGEBYSCORE"}


def test_each_command_of_each_script_is_tried() -> None:
    """A new one must be added, or a user may lack it without anybody noticing."""
    used = set()
    for path in (ROOT / "worker").rglob("*.lua"):
        used |= set(re.findall(r"redis\.p?call\('([A-Z]+)'", path.read_text()))
    assert used - set(COMMANDS) <= UPSTREAMS
    assert set(COMMANDS) - used <= CHOSEN
