"""Dry runs of many letters, some at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from statemachine.flows import State
from worker.operations.acts.dry_run import Foreseen, foresee
from worker.operations.acts.wix_desk import WixDesk

#: How many letters are looked at at the same time.
AT_ONCE = 4


def foresee_all(
    ids: Iterable[str],
    desk: WixDesk,
    *,
    manual_done: bool = False,
    not_done: bool = False,
    shown: Callable[[str], str] = str,
    advance: Callable[[int], object] = lambda _: None,
) -> list[Foreseen]:
    """Ask Wix what a replay of each of these letters would do; *shown* is how an id is repeated."""
    wanted = list(dict.fromkeys(ids))
    known = {refund.refund_id: refund for refund in desk.ledger.load_pages(wanted)}
    now_ms = desk.ledger.now_ms()

    def look(letter_id: str) -> Foreseen:
        refund = known.get(letter_id)
        if refund is None or refund.state is not State.DEAD:
            return Foreseen(shown(letter_id), "cannot", "not the dead letter of a refund")
        return foresee(refund, desk, now_ms, manual_done=manual_done, not_done=not_done)

    found = []
    with ThreadPoolExecutor(AT_ONCE) as threads:  # each thread has connections of its own
        for one in threads.map(look, wanted):
            advance(1)
            found.append(one)
        for _ in range(AT_ONCE):
            threads.submit(desk.wix.close)
    return found
