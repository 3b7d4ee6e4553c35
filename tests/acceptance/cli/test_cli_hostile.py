"""Input from outside neither controls the terminal nor reveals a secret."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.processes import environment_without_settings
from tests.support.rig import AFTER, STORE_ID, Rig
from worker.cli.common import run
from worker.cli.main import app
from worker.observability.printable import printable

#: Exit code, standard output, standard error.
Done = tuple[int, str, str]

ESCAPES = "\x1b[2J\x1b]0;x\x07\x9b2J\u202e\u200b\nAll refunds match."
#: A whole key, a key without its beginning, and only the last part of one.
KEYS = ("IST.canarypart.canarypart.canarypart", "eyJcanarypart.canarypart", "canary+part/" * 20)


@pytest.fixture
def refunds(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Run one command of `refunds` in this process."""
    monkeypatch.setenv("REFUNDS_REDIS_URL", rig.settings.redis_url.get_secret_value())
    monkeypatch.setenv("REFUNDS_NAMESPACE", rig.settings.namespace)

    def command(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["refunds", *arguments])
        with pytest.raises(SystemExit) as ended:
            run(app)
        return int(ended.value.code or 0), *capsys.readouterr()

    return command


def _is_harmless(text: str) -> bool:
    return all(printable(line) == line for line in text.split("\n"))


def test_no_command_prints_what_a_terminal_obeys(rig: Rig, refunds: Callable[..., Done]) -> None:
    """Ids, texts and names from jobs, from Wix and from merchants; with JSON they are exact."""
    order = rig.order(AFTER)
    rig.request(order, "rf-1", reason=ESCAPES, requested_by=ESCAPES, metadata={ESCAPES: ESCAPES})
    rig.run_until_idle()
    bad: dict[str, Any] = {
        "queue_name": "refunds", "actor_name": "request_refund", "args": [],
        "kwargs": {"refund_id": ESCAPES, "order_id": [ESCAPES], ESCAPES: ESCAPES},
        "options": {}, "message_id": "m", "message_timestamp": 1,
    }  # fmt: skip
    rig.send_raw(json.dumps(bad), message_id=f"m-{ESCAPES}")
    rig.send_raw(json.dumps(bad | {"actor_name": ESCAPES}), message_id="m-2")
    rig.run_until_idle()
    rig.redis.zadd(rig.key("stores"), {STORE_ID: 1})
    profile = {"name": ESCAPES, "currency": ESCAPES}
    rig.redis.hset(rig.key("store", STORE_ID), "sealed", "x")
    rig.redis.hset(rig.key("store", STORE_ID), "profile", json.dumps(profile))
    rig.redis.hset(rig.key("store", STORE_ID), "last_error", json.dumps({"error": ESCAPES}))
    for arguments in (
        ["show", "rf-1"],
        ["list"],
        ["dead", "list"],
        ["dead", "show", f"m-{ESCAPES}"],
        ["dead", "show", "m-2"],
        ["stores", "list"],
        ["outcomes"],
    ):
        code, out, err = refunds(*arguments)
        assert (code, err, _is_harmless(out)) == (0, "", True), arguments
        assert out
        _, out, _ = refunds(*arguments, "--json")
        assert _is_harmless(out)
        documents = [
            json.loads(line)
            for line in ([out] if "outcomes" not in arguments else out.splitlines())
        ]
        assert ESCAPES in _texts(documents), arguments


def _texts(value: Any) -> list[str]:
    """Return all texts in a JSON value, with names of fields and texts that contain JSON."""
    if isinstance(value, dict):
        return _texts([*value, *value.values()])
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    if isinstance(value, str) and value.startswith("{"):
        return _texts(json.loads(value))
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "command",
    [
        "show",
        "dead show",
        "dead replay",
        "dead replay --dry-run",
        "dead resolve --amount 0 --reason x",
        "dead discard --reason x",
        "retry",
        "cancel --reason x",
        "hold --reason x",
        "release",
        "edit --restock --reason x",
        "stores pause --reason x",
        "jobs show",
        "jobs stop",
        "jobs continue",
        "dead discard --yes --reason x --text",
        "retry --yes --store",
        "stores resume",
        "stores check",
        "stores disconnect",
        "show --state",
        "list --limit",
        "request --fee",
        "nonsense",
        "",
    ],
)
def test_a_key_in_the_wrong_place_is_not_repeated(
    refunds: Callable[..., Done], command: str, key: str
) -> None:
    """What a person pastes by mistake must not appear in a screenshot or a log."""
    for more in ([], ["--json"]):
        code, out, err = refunds(*command.split(), key, *more)
        assert code in {1, 2}
        assert "canary" not in out + err


@pytest.mark.parametrize(
    ("command", "where"),
    [
        ("hold \udcff --reason x", "argument 2, after hold,"),
        ("show \udcff", "argument 2, after show,"),
        ("dead discard rf-1 \udcff --reason x", "argument 4, after rf-1,"),
        ("jobs show \udcff", "argument 3, after show,"),
        ("list --text \udcff", "argument 3, after --text,"),
        ("list --text=\udcff", "argument 2, --text,"),
        ("--cell \udcff list", "argument 2, after --cell,"),
        ("\udcff", "argument 1"),
        (f"show {KEYS[0]} \udcff", "argument 3"),
    ],
)
def test_an_argument_that_is_not_utf_8_is_named(
    refunds: Callable[..., Done], command: str, where: str
) -> None:
    """Python stands a lone surrogate for a byte that is not UTF-8; Redis cannot take it."""
    expected = f"{where} is not valid UTF-8"
    assert refunds(*command.split()) == (2, "", f"{expected}\n")
    code, out, _ = refunds(*command.split(), "--json")
    assert code == 2
    assert json.loads(out) == {"ok": False, "error": {"message": expected}}


@pytest.mark.parametrize(
    ("encoding", "commands"),
    [("ascii", ["stores list", "stores connect --help"]), ("latin-1", ["stores list --json"])],
)
def test_commands_work_where_output_is_not_utf_8(
    rig: Rig, encoding: str, commands: list[str]
) -> None:
    """What standard output cannot encode is escaped; no command ends with a traceback."""
    name = "Bäckerei 東京 😀"
    rig.redis.zadd(rig.key("stores"), {STORE_ID: 1})
    rig.redis.hset(rig.key("store", STORE_ID), "sealed", "x")
    rig.redis.hset(rig.key("store", STORE_ID), "profile", json.dumps({"name": name}))
    environment = environment_without_settings() | {
        "REFUNDS_REDIS_URL": rig.settings.redis_url.get_secret_value(),
        "REFUNDS_NAMESPACE": rig.settings.namespace,
        "PYTHONIOENCODING": encoding,
    }
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-c", "from worker.cli.main import main; main()", *command.split()],
            env=environment,
            capture_output=True,
            encoding=encoding,
            errors="replace",
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        if "--json" in command:
            assert json.loads(done.stdout)["stores"][0]["name"] == name
