"""Files that people and programs write: any encoding, any line end, any text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.commands import ORDER_ID, refunds, settings_of
from tests.support.rig import STORE_ID, Rig

JOB = {"refund_id": "rf-1", "store_id": STORE_ID, "order_id": ORDER_ID}


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r"])
def test_only_a_line_feed_ends_a_job(rig: Rig, tmp_path: Path, end: str) -> None:
    """Other line ends may be part of a text: JSON allows some of them unescaped."""
    text = f"a{end}b" if end in "\u2028\u2029\x85" else "ab"
    file = tmp_path / "jobs.jsonl"
    jobs = [JOB | {"reason": text}, JOB | {"refund_id": "rf-2"}]
    between = "\r\n" if end == "\r" else "\n"
    file.write_bytes(between.join(json.dumps(job, ensure_ascii=False) for job in jobs).encode())
    done = refunds(rig, "request", "--file", str(file))
    assert (done.returncode, done.stdout.split()) == (0, ["rf-1", "rf-2"])
    rig.run_queued()
    assert rig.load("rf-1").request.reason == text


def test_a_byte_order_mark_is_fine(rig: Rig, tmp_path: Path) -> None:
    """Editors on Windows write one."""
    file = tmp_path / "jobs.jsonl"
    file.write_text(json.dumps(JOB), encoding="utf-8-sig")
    assert refunds(rig, "request", "--file", str(file)).returncode == 0


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"])
def test_a_file_that_is_not_utf_8_is_refused(rig: Rig, tmp_path: Path, encoding: str) -> None:
    """With a sentence and exit code 2, not a traceback."""
    file = tmp_path / "jobs.jsonl"
    file.write_text(json.dumps(JOB | {"reason": "grün"}, ensure_ascii=False), encoding=encoding)
    done = refunds(rig, "request", "--file", str(file))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "jobs.jsonl is not text in UTF-8; save it in this encoding\n"
    assert rig.redis.llen(rig.key("refunds")) == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"refund_id": "rf-1", "refund_id": "rf-2"}', "line 1 has the key refund_id twice"),
        (json.dumps(JOB)[:-1] + ', "metadata": {"a": "b", "a": "c"}}', "has the key a twice"),
        (json.dumps(JOB)[:-1] + ', "amount": "1.00", "amount": "9.00"}', "the key amount twice"),
        ("[" * 100_000, "nested too deeply"),
        ('{"refund_id": ' + "9" * 5_000 + "}", "is not JSON"),
    ],
)
def test_a_key_that_stands_twice_is_refused(rig: Rig, tmp_path: Path, line: str, said: str) -> None:
    """Nobody can know which value is meant."""
    file = tmp_path / "jobs.jsonl"
    file.write_text(line)
    done = refunds(rig, "request", "--file", str(file))
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert rig.redis.llen(rig.key("refunds")) == 0


@pytest.mark.parametrize("quantity", ["²", "9" * 5_000, "\uff11", "-1", "1.5", "one"])
def test_a_quantity_is_written_in_digits(rig: Rig, quantity: str) -> None:
    """Anything else is refused by its field."""
    ids = ("--store", STORE_ID, "--order", ORDER_ID)
    done = refunds(rig, "request", *ids, "--line", f"a:{quantity}")
    assert done.returncode == 2
    assert "job: lines.0.quantity: must be a whole number" in done.stderr


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_key_file_that_is_not_utf_8_is_refused(rig: Rig, tmp_path: Path, encoding: str) -> None:
    """Like a file of jobs."""
    file = tmp_path / "key.txt"
    file.write_text("IST.a.b.c ü", encoding=encoding)
    given = ("--site", STORE_ID, "--account", STORE_ID, "--api-key-file", str(file))
    environment = settings_of(rig) | {"REFUNDS_VAULT_KEYS": "A" * 43 + "="}
    done = refunds(rig, "stores", "connect", *given, environment=environment)
    assert done.returncode == 2
    assert "key.txt is not text in UTF-8" in done.stderr
