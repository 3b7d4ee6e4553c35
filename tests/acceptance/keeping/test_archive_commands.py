"""What operators see of the archive."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.ages import day_ago, finished, keep
from tests.support.commands import refunds, settings_of
from tests.support.rig import BEFORE, STORE_ID, Rig
from worker.cli.completion import archived_ids
from worker.operations.archive.folder import MARKER, Folder


def _run(rig: Rig, archive: Path | None, *arguments: str, code: int = 0, **more: str) -> str:
    where = {"REFUNDS_ARCHIVE": str(archive)} if archive else {}
    done = refunds(rig, *arguments, environment=settings_of(rig) | where | more)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stdout + done.stderr


def _json(rig: Rig, archive: Path | None, *arguments: str, code: int = 0) -> dict[str, Any]:
    where = {"REFUNDS_ARCHIVE": str(archive)} if archive else {}
    done = refunds(rig, *arguments, "--json", environment=settings_of(rig) | where)
    assert done.returncode == code, done.stderr
    return dict(json.loads(done.stdout))


def test_show_reads_a_forgotten_refund_from_the_archive(rig: Rig, tmp_path: Path) -> None:
    """It shows the same as before: amounts, timeline, Wix's request ids."""
    refund_id = finished(rig)
    before = _json(rig, tmp_path, "show", refund_id)
    keep(rig, tmp_path)
    after = _json(rig, tmp_path, "show", refund_id)
    [path] = tmp_path.rglob("*.gz")
    assert after["archived_in"] == str(path)
    changes = {"archived_in", "at_ms", "store"}
    assert {k: v for k, v in after.items() if k not in changes} == {
        k: v for k, v in before.items() if k not in changes
    }
    shown = _run(rig, tmp_path, "show", refund_id)
    assert "101.40 USD" in shown
    assert "submit_refund" in shown


@pytest.mark.parametrize("has_archive", [True, False])
def test_show_without_its_archive_shows_what_is_left(
    rig: Rig, tmp_path: Path, has_archive: bool
) -> None:
    """How it ended, when, how much, and where the rest is."""
    refund_id, other = finished(rig), tmp_path / "other"
    wix_id = rig.load(refund_id).facts.wix_refund_id
    keep(rig, tmp_path)
    other.mkdir()
    told = _json(rig, other if has_archive else None, "show", refund_id)
    assert (told["state"], told["amount"], told["currency"]) == ("refunded", "101.40", "USD")
    assert (told["wix_refund_id"], told["forgotten"]) == (wix_id, True)
    done = refunds(rig, "show", refund_id)
    assert f"The archive has the rest, day {day_ago(rig, 100)}" in done.stderr
    assert wix_id in done.stdout


def test_find_by_id_order_store_and_time(rig: Rig, tmp_path: Path) -> None:
    """Newest first; all that is given must match."""
    older, newer = finished(rig, days_ago=120, created=BEFORE), finished(rig, days_ago=100)
    order_id = rig.load(older).request.order_id
    keep(rig, tmp_path)

    def find(*arguments: str) -> list[str]:
        return [
            one["refund_id"]
            for one in _json(rig, tmp_path, "archive", "find", *arguments)["refunds"]
        ]

    assert find() == [newer, older]
    assert find(older) == [older]
    assert find("--order", order_id) == [older]
    assert find("--store", STORE_ID, "--limit", "1") == [newer]
    assert find("--since", "110d") == [newer]
    assert find("--until", "110d") == [older]
    assert find(older, "--store", "other") == []
    assert find("unknown") == []
    [told] = _json(rig, tmp_path, "archive", "find", older)["refunds"]
    assert told["history"][0]["event"] == "refund.accepted"
    assert older in _run(rig, tmp_path, "archive", "find", "--order", order_id)


def test_export_prints_csv_or_whole_lines(rig: Rig, tmp_path: Path) -> None:
    """Oldest first; the lines of JSON have everything."""
    older, newer = finished(rig, days_ago=120), finished(rig, days_ago=100)
    keep(rig, tmp_path)
    rows = list(csv.DictReader(io.StringIO(_run(rig, tmp_path, "archive", "export"))))
    assert [row["refund_id"] for row in rows] == [older, newer]
    assert {(row["amount"], row["currency"], row["state"]) for row in rows} == {
        ("101.40", "USD", "refunded")
    }
    lines = _run(rig, tmp_path, "archive", "export", "--since", "110d", "--json").splitlines()
    [line] = [json.loads(text) for text in lines]
    assert (line["refund_id"], line["record"]["state"]) == (newer, "refunded")


def test_a_damaged_file_is_named_and_the_others_are_still_read(rig: Rig, tmp_path: Path) -> None:
    """Exit code 1."""
    older, newer = finished(rig, days_ago=120), finished(rig, days_ago=100)
    keep(rig, tmp_path)
    [path] = Folder(tmp_path).files(day_ago(rig, 120))
    path.write_bytes(path.read_bytes()[:-20])
    told = _json(rig, tmp_path, "archive", "find", code=1)
    assert [one["refund_id"] for one in told["refunds"]] == [newer]
    assert str(path) in told["problems"][0]
    out = _run(rig, tmp_path, "archive", "export", code=1)
    assert newer in out
    assert str(path) in out
    assert _json(rig, tmp_path, "show", older)["forgotten"]


def test_commands_need_an_archive(rig: Rig, tmp_path: Path) -> None:
    """Exit code 2 without the setting; a directory that is missing is named."""
    assert "REFUNDS_ARCHIVE is not set" in _run(rig, None, "archive", "find", code=2)
    keep(rig, tmp_path)
    none = tmp_path / "none"
    for command in (["find"], ["export"], ["adopt", "--reason", "test"]):
        assert f"{none} does not exist" in _run(rig, none, "archive", *command, code=1)


def test_adopt_makes_another_directory_the_archive(rig: Rig, tmp_path: Path) -> None:
    """It is in the audit log; without a reason it is refused."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    keep(rig, old)
    refund_id = finished(rig)
    keep(rig, new)
    assert "refunds archive adopt" in rig.ledger.keeping.told()["problem"]
    assert "--reason" in _run(rig, new, "archive", "adopt", code=2)
    _run(rig, new, "archive", "adopt", "--by", "ann", "--reason", "a new drive")
    entry = list(rig.ledger.audit_log.entries())[-1].fields()
    assert (entry["act"], entry["by"], entry["why"]) == ("archive.adopt", "ann", "a new drive")
    keep(rig, new)
    assert rig.ledger.load(refund_id) is None
    assert entry["after"]["archive"] == json.loads((new / MARKER).read_text())["archive"]


def test_the_archive_of_the_ledger_that_this_one_replaces_is_accepted(
    rig: Rig, tmp_path: Path
) -> None:
    """After `refunds doctor --adopt`, the old refunds are still found."""
    Folder(tmp_path).mark("the-lost-ledger")
    rig.redis.hset(rig.key("installation"), "replaces:the-lost-ledger", "1")
    refund_id = finished(rig)
    keep(rig, tmp_path)
    assert rig.ledger.load(refund_id) is None


def _doctor(rig: Rig, archive: Path | None) -> dict[str, Any]:
    where = {"REFUNDS_ARCHIVE": str(archive)} if archive else {}
    done = refunds(rig, "doctor", "--json", environment=settings_of(rig) | where)
    found = {one["check"]: one for one in json.loads(done.stdout)["findings"]}
    return dict(found["archive"])


def test_doctor_says_whether_refunds_are_archived_in_time(rig: Rig, tmp_path: Path) -> None:
    """Without an archive only once something should be there."""
    assert _doctor(rig, None)["verdict"] == "ok"
    finished(rig)
    told = _doctor(rig, None)
    assert (told["verdict"], told["text"][:2]) == ("warning", "1 ")
    assert "REFUNDS_ARCHIVE" in told["what_to_do"]
    assert _doctor(rig, tmp_path / "none")["verdict"] == "warning"
    assert not (tmp_path / MARKER).exists()
    keep(rig, tmp_path)
    told = _doctor(rig, tmp_path)
    assert told["verdict"] == "ok"
    assert "1 are in" in told["text"]


def test_status_names_a_problem_and_what_to_type(rig: Rig, tmp_path: Path) -> None:
    """It is gone when the archive works again."""
    rig.broker.beat()
    keep(rig, tmp_path / "none")
    told = _json(rig, tmp_path, "status", code=1)
    assert [need["command"] for need in told["needs"] if "archive" in need["text"]] == [
        "refunds doctor"
    ]
    finished(rig)
    keep(rig, tmp_path)
    assert _json(rig, tmp_path, "status", code=1)["keeping"] | {"checked_at_ms": 0} == {
        "forgotten": 1,
        "archive": rig.ledger.keeping.told()["archive"],
        "checked_at_ms": 0,
        "problem": None,
    }
    assert "1 refunds that finished long ago" in _run(rig, tmp_path, "status", code=1)


def test_tab_completes_ids_of_the_newest_file(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bounded, and silent without an archive."""
    refund_id = finished(rig)
    keep(rig, tmp_path)
    for name, value in (settings_of(rig) | {"REFUNDS_ARCHIVE": str(tmp_path)}).items():
        monkeypatch.setenv(name, value)
    assert archived_ids(refund_id[:5]) == [refund_id]
    assert archived_ids("none") == []
    monkeypatch.setenv("REFUNDS_ARCHIVE", str(tmp_path / "none"))
    assert archived_ids(refund_id[:5]) == []


def test_commands_that_act_on_a_refund_say_that_it_is_in_the_archive(
    rig: Rig, tmp_path: Path
) -> None:
    """It is not "unknown"; and an audit counts it."""
    refund_id = finished(rig)
    keep(rig, tmp_path)
    for command in (
        ["retry", refund_id],
        ["cancel", refund_id, "--reason", "x"],
        ["hold", refund_id, "--reason", "x"],
        ["dead", "show", refund_id],
        ["dead", "replay", refund_id, "--reason", "x"],
    ):
        assert "in the archive" in _run(rig, tmp_path, *command, code=1), command
    assert _json(rig, tmp_path, "audit")["forgotten"] == 1
    assert "(0 checked; 1 more are in the archive)" in refunds(rig, "audit").stderr
