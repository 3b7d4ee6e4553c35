"""The desks of several cells, of which one does not answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import redis

from worker.console.desks import AWAY_S, Desks
from worker.console.refusals import NOT_KNOWN, Refusal


class Scene:
    """Three desks, a clock that the test sets, and what is asked of each."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.error: Exception | None = redis.ConnectionError("gone")
        self.asked: list[str] = []
        names: list[Any] = [SimpleNamespace(cell=cell) for cell in ("front", "0", "1")]
        self.desks = Desks({one.cell: one for one in names}, now_s=lambda: self.now_s)

    def look(self, desk: Any) -> str:
        """Answer, but not for cell 1."""
        self.asked.append(desk.cell)
        if desk.cell == "1" and self.error:
            raise self.error
        return f"of {desk.cell}"

    def ask(self, *, is_act: bool = False) -> tuple[list[str], str]:
        """Ask all; return who was asked, and what is the problem with cell 1."""
        self.asked, self.desks.problems = [], {}
        told = self.desks.each(self.look, is_act=is_act)
        assert ("1" in told) == (not self.desks.problems)
        return list(self.asked), self.desks.problems.get("1", "")


def test_a_cell_that_cannot_be_reached_is_not_asked_again_at_once() -> None:
    """Pages stay fast; an act asks it always, and says that it may have been done."""
    scene = Scene()
    asked, problem = scene.ask()
    assert asked == ["front", "0", "1"]
    assert problem.startswith("Cell 1: Redis")
    assert scene.ask() == (["front", "0"], problem)
    assert scene.ask(is_act=True) == (["front", "0", "1"], f"{problem} {NOT_KNOWN}")
    assert scene.ask() == (["front", "0"], problem)
    scene.now_s += AWAY_S
    assert scene.ask() == (["front", "0", "1"], problem)
    scene.now_s += AWAY_S
    scene.error = None
    assert scene.ask() == (["front", "0", "1"], "")
    assert scene.ask() == (["front", "0", "1"], "")


def test_a_cell_that_answers_with_an_error_is_asked_again() -> None:
    """It costs no time."""
    scene = Scene()
    scene.error = redis.ResponseError("wrong")
    assert scene.ask()[0] == ["front", "0", "1"]
    assert scene.ask()[0] == ["front", "0", "1"]


def test_a_cell_is_asked_by_one_visit_while_the_others_do_not_wait() -> None:
    """Somebody else looks while the cell is asked once more."""
    scene = Scene()
    scene.ask()
    scene.now_s += AWAY_S
    inside: list[list[str]] = []

    def slow(desk: Any) -> str:
        if desk.cell == "1":
            inside.append(scene.ask()[0])
        return scene.look(desk)

    scene.desks.each(slow)
    assert inside == [["front", "0"]]


def test_no_cell_answers() -> None:
    """Then there is nothing to show."""
    scene = Scene()
    with pytest.raises(Refusal, match="Cell 1: Redis") as refused:
        scene.desks.each(scene.look, among=["1"])
    assert refused.value.status == 503
