"""The runbook's commands do what it says: each example is run, and its output compared."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import refunds
from tests.support.drill_world import DrillWorld
from tests.support.drills import DRILLS
from tests.support.logs import captured_log
from tests.support.rig import STORE_ID
from tests.support.runbook import commands, examples, normalised, shown, write
from worker.simulator import Simulator, serve

#: With RUNBOOK=write the outputs are written into the text instead (`make runbook`).
WRITES = os.environ.get("RUNBOOK") == "write"


@pytest.fixture
def world(redis_url: str, simulator: Simulator, tmp_path: Path) -> Iterator[DrillWorld]:
    """One worker, a store, and an operator."""
    with captured_log(), serve(simulator) as wix_url:
        made = DrillWorld(redis_url, simulator, wix_url, tmp_path)
        yield made
        made.close()


def test_every_drill_of_the_text_is_known() -> None:
    """And the other way round."""
    assert list(examples()) == list(DRILLS)


@pytest.mark.parametrize("name", DRILLS)
def test_an_example_prints_what_the_runbook_says(name: str, world: DrillWorld) -> None:
    """If the difference is intended, run `make runbook` and read the change."""
    drill = DRILLS[name]
    drill.begin(world)

    def run(command: str) -> str:
        drill.before_command(command, world)
        output = world.run(command)
        assert world.status != 2, output
        return output

    if WRITES:
        write(name, run)
        return
    for example in examples()[name]:
        assert normalised(shown(run(example.command))) == normalised(example.output), (
            example.command
        )


#: Commands that answer with 1 here: something needs a person.
ANSWER_NO = ("refunds status",)
#: Commands that wait for a key, for Ctrl-C or for answers; other tests run them.
RUN_ON = (
    "refunds watch",
    "refunds simulator",
    "refunds simulator --orders 60",
    "refunds stores connect",
)
#: Commands that need other settings or a file; the tests of these areas run them.
OTHER_SETTINGS = (
    "refunds approve",
    "refunds archive",
    "refunds deploy",
    "refunds request --file",
)
#: What a command says that is only named, without what it acts on.
ONLY_NAMED = ("Missing argument", "name one or more IDs", "is required")


def _with_ids(command: str, world: DrillWorld, number: int) -> str:
    """Return a command of the text with real ids in the place of its placeholders."""
    words = shlex.split(command)
    is_of_letter = "dead" in words or "edit" in words
    make = world.letter if is_of_letter else world.waiting
    refund_id = make(number, manual="--manual-done" in words)
    if "release" in words:
        world.run(f"refunds hold {refund_id} --reason test")
    if "resume" in words:
        paused = f"stores pause {STORE_ID}" if "stores" in words else "pause --all"
        world.run(f"refunds {paused} --reason test")
    known = {"ID": refund_id, "ID...": refund_id, "SITE_ID": STORE_ID}
    known["STATE"] = "accepted"
    words = [known.get(word, word) for word in words]
    if _takes_reason(words) and "--reason" not in words:
        words += ["--reason", "a test"]
    return shlex.join(words)


def _takes_reason(words: list[str]) -> bool:
    acts = {"replay", "resolve", "discard", "edit", "cancel", "hold", "release", "pause", "resume"}
    return bool(acts & set(words))


def test_every_other_command_of_the_text_runs(world: DrillWorld) -> None:
    """Those in tables, sentences and blocks outside of the examples: each does what it is for."""
    found = [each for each in commands() if each not in RUN_ON]
    assert len(found) > 30
    failed = {}
    for number, command in enumerate(found, 1):
        if command.startswith(OTHER_SETTINGS):
            _check_options(command)
            continue
        typed = _with_ids(command, world, number)
        output = world.run(typed)
        is_no = world.status == 1 and command.startswith(ANSWER_NO)
        is_named = world.status == 2 and any(text in output for text in ONLY_NAMED)
        if world.status and not is_no and not is_named:
            failed[typed] = output
        if "pause" in typed.split():
            world.run(typed.replace("pause", "resume"))
    assert failed == {}


def _check_options(command: str) -> None:
    """The command and its options are in its help."""
    words = command.split()[1:]
    options = [word for word in words if word.startswith("--")]
    path = words[:2] if words[0] == "archive" else words[:1]
    text = refunds(None, *path, "--help", environment={}).stdout
    assert [option for option in options if option not in text] == [], command
