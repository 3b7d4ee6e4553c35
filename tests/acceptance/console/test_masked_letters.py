"""Letters whose message id looks like a secret: it is not shown, and they can be acted on."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest

from tests.support.bulk import job_of, turn
from tests.support.console import ACT, Browser, ConsoleProgram, console_scene, text_of
from tests.support.rig import Rig

#: One looks like an e-mail address, the other has a character that cannot be seen.
IDS = ("canary.buyer@example.com/job", "canary\u200bof\x1b[2J/job")

Scene = tuple[Rig, ConsoleProgram]


@pytest.fixture(scope="module")
def scene(redis_url: str) -> Iterator[Scene]:
    """A worker with a console; shared by the tests of this file."""
    with console_scene(redis_url) as made:
        yield made


@pytest.fixture
def browser(scene: Scene) -> Iterator[Browser]:
    """A browser of somebody who may act."""
    with scene[1].browser(ACT) as signed_in:
        yield signed_in


def _only(pattern: str, page: str) -> str:
    [found] = re.findall(pattern, page)
    return html.unescape(str(found))


def _letters(rig: Rig) -> set[str]:
    return set(rig.broker.quarantined())


@pytest.mark.parametrize("message_id", IDS)
def test_a_letter_is_opened_and_discarded_by_a_mark_of_its_id(
    scene: Scene, browser: Browser, message_id: str
) -> None:
    """The link of the list leads to it, and no page has the id."""
    rig, _ = scene
    rig.send_raw("no message", message_id=message_id)
    rig.run_queued()
    [letter_id] = _letters(rig)
    assert letter_id.startswith(message_id)
    listed = browser.get("/dead").text
    opened = browser.get(_only(r'href="(/refund\?id=[^"]+)"', listed))
    assert (opened.status_code, "Raw record" in opened.text) == (200, True)
    for page in (listed, opened.text):
        assert message_id not in html.unescape(page)
    mark = _only(r'<input type="hidden" name="id" value="([^"]*)">', opened.text)
    done = browser.post("/refund/act", {"id": mark, "act": "dead.discard", "why": "x"})
    assert (done.status_code, "canary" in done.headers["location"]) == (303, False)
    assert _letters(rig) == set()


@pytest.mark.parametrize("message_id", IDS)
def test_a_letter_is_selected_in_the_list_by_a_mark_of_its_id(
    scene: Scene, browser: Browser, message_id: str
) -> None:
    """Its item is done like the others."""
    rig, _ = scene
    rig.send_raw("no message", message_id=message_id)
    rig.run_queued()
    mark = _only(r'name="id" value="([^"]*)"', browser.get("/dead").text)
    answer = browser.post("/choose", {"id": mark, "act": "dead.discard", "why": "x"})
    assert answer.status_code == 303, text_of(answer)
    job_id = str(answer.headers["location"]).removeprefix("/job?id=")
    browser.act("/job/step", {"id": job_id, "step": "start"})
    turn(rig)
    assert (job_of(rig, job_id).done, _letters(rig)) == (1, set())
