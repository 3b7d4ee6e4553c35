"""`refunds request --file`: JSON lines, CSV and standard input, of any length."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import ORDER_ID, refunds, settings_of
from tests.support.processes import PATIENCE_S, environment_without_settings
from tests.support.rig import STORE_ID, Rig
from worker.cli.csv_cells import read_cell, safe_cell
from worker.cli.job_files import LONGEST_LINE, read_jobs
from worker.upstream import RefundQueue

_MAIN = "from worker.cli.main import main; main()"
OTHER_STORE = "4b296c48-0000-4000-8000-000000000002"


def _job(number: int, **more: Any) -> dict[str, Any]:
    return {"refund_id": f"rf-{number}", "store_id": STORE_ID, "order_id": ORDER_ID} | more


def _file(folder: Path, *lines: Any, name: str = "jobs.jsonl") -> Path:
    file = folder / name
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    file.write_text("".join(f"{text}\n" for text in texts))
    return file


def _sent(rig: Rig) -> list[dict[str, Any]]:
    ids = rig.redis.lrange(rig.key("refunds"), 0, -1)
    texts = rig.redis.hmget(rig.key("refunds.msgs"), ids) if ids else []
    return [json.loads(text)["kwargs"] for text in texts]


def test_all_jobs_of_a_file_are_sent_in_order(rig: Rig, tmp_path: Path) -> None:
    """Their ids are on standard output, and the sum on standard error."""
    file = _file(tmp_path, *(_job(number) for number in range(1_201)))
    done = refunds(rig, "request", "--file", str(file))
    assert done.stdout.split() == [f"rf-{number}" for number in range(1_201)]
    assert done.stderr == "Jobs sent: 1,201; refused lines: 0.\n"
    assert [job["refund_id"] for job in _sent(rig)] == done.stdout.split()


def test_one_wrong_line_stops_all_unless_it_is_skipped(rig: Rig, tmp_path: Path) -> None:
    """A person sees first what is wrong; the report names each line, field and rule."""
    file = _file(tmp_path, _job(1), "nope", _job(2, amount="1,50"), "", _job(3))
    report = tmp_path / "refused.csv"
    done = refunds(rig, "request", "--file", str(file), "--report", str(report))
    assert (done.returncode, done.stdout, _sent(rig)) == (2, "", [])
    assert "jobs.jsonl, line 2 is not JSON" in done.stderr
    assert "jobs.jsonl, line 3: amount: must be a decimal in quotes" in done.stderr
    assert "nothing was sent; --skip-refused sends the others" in done.stderr
    rows = list(csv.DictReader(io.StringIO(report.read_text())))
    assert [(row["line"], row["field"], row["rule"]) for row in rows] == [
        ("2", "line", "format"), ("3", "amount", "format"),
    ]  # fmt: skip
    skipping = refunds(rig, "request", "--file", str(file), "--skip-refused")
    assert (skipping.returncode, skipping.stdout.split()) == (2, ["rf-1", "rf-3"])


def test_many_refused_lines_are_not_all_shown(rig: Rig, tmp_path: Path) -> None:
    """The report has them all."""
    done = refunds(rig, "request", "--file", str(_file(tmp_path, *["{}"] * 30)))
    assert done.stderr.count("line 1:") == 3
    assert "and 10 more lines" in done.stderr


def test_a_dry_run_adds_up_and_sends_nothing(rig: Rig, tmp_path: Path) -> None:
    """By store and currency; it does not even need Redis."""
    line = {"line_item_id": "l1", "quantity": 1}
    eur = {"currency": "EUR"}
    file = _file(
        tmp_path, _job(1, amount="10.00", **eur), _job(2, shipping="0.50", **eur), _job(3),
        _job(4, store_id=OTHER_STORE, amount="1", currency="JPY"), _job(5, lines=[line]),
        _job(6, lines=[line | {"amount": "2.25"}], **eur), _job(7, colour="red"),
    )  # fmt: skip
    environment = settings_of(rig) | {"REFUNDS_REDIS_URL": "redis://127.0.0.1:1/0"}
    options = ("request", "--file", str(file), "--dry-run")
    done = refunds(None, *options, "--json", environment=environment)
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"], told["jobs"], told["refused"]) == (2, False, 6, 1)
    assert [list(row.values()) for row in told["sums"]] == [
        [STORE_ID, None, 2, None, 1, 1],
        [STORE_ID, "EUR", 3, "12.75", 0, 0],
        [OTHER_STORE, "JPY", 1, "1", 0, 0],
    ]
    shown = refunds(None, *options, environment=environment)
    assert "12.75" in shown.stdout
    assert "Jobs: 6; refused lines: 1; nothing was sent." in shown.stderr
    assert _sent(rig) == []


def test_a_file_is_sent_again_without_duplicates(rig: Rig, tmp_path: Path) -> None:
    """After Ctrl-C: the same ids, or only the lines that are left."""
    file = _file(tmp_path, *(_job(number) for number in range(5)))
    refunds(rig, "request", "--file", str(file))
    refunds(rig, "request", "--file", str(file))
    done = refunds(rig, "request", "--file", str(file), "--after-line", "3")
    assert done.stdout.split() == ["rf-3", "rf-4"]
    rig.run_until_idle()
    assert (rig.ledger.count(), rig.broker.quarantined()) == (5, {})


def test_an_interrupted_command_says_how_to_go_on(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the last line that certainly was sent."""
    file = _file(tmp_path, *(_job(number) for number in range(1_600)))
    send, batches = RefundQueue.send, iter((None, None, KeyboardInterrupt()))

    def interrupted(queue: RefundQueue, messages: list[str]) -> None:
        if error := next(batches):
            raise error
        send(queue, messages)

    monkeypatch.setattr(RefundQueue, "send", interrupted)
    done = refunds(rig, "request", "--file", str(file))
    assert done.returncode == 130
    assert "sent up to line 1000" in done.stderr
    assert "--after-line 1000" in done.stderr
    monkeypatch.undo()
    refunds(rig, "request", "--file", str(file), "--after-line", "1000")
    assert [job["refund_id"] for job in _sent(rig)] == [f"rf-{number}" for number in range(1_600)]


def test_standard_input_may_be_either_format(rig: Rig) -> None:
    """By its first character."""
    csv_text = f"refund_id,store_id,order_id\nrf-2,{STORE_ID},{ORDER_ID}\n"
    for text in (json.dumps(_job(1)), csv_text):
        done = subprocess.run(
            [sys.executable, "-c", _MAIN, "request", "--file", "-"],
            input=text,
            env=environment_without_settings() | settings_of(rig),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert [job["refund_id"] for job in _sent(rig)] == ["rf-1", "rf-2"]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_row_of_csv_is_a_job(rig: Rig, tmp_path: Path, mark: str) -> None:
    """Also with a byte order mark, quoted cells, and the separators of other countries."""
    header = [
        "refund_id", "store_id", "order_id", "amount", "currency", "lines", "restock", "reason",
        "metadata.ticket", "additional_fees",
    ]  # fmt: skip
    rows = [
        ["rf-1", STORE_ID, ORDER_ID, "10.00", "EUR", "", "", f'a{mark}\n"b"', "T-7", ""],
        ["rf-2", STORE_ID, ORDER_ID, "", "EUR", "l1:2=3.50; l2:1", "TRUE", "'=1+1", "", "f1:1.00"],
        ["rf-3", STORE_ID, ORDER_ID, "all", "", "", "", "", "", ""],
    ]
    file = tmp_path / "jobs.csv"
    with file.open("w", encoding="utf-8-sig", newline="") as out:
        csv.writer(out, delimiter=mark).writerows([header, *rows])
    done = refunds(rig, "request", "--file", str(file))
    assert done.returncode == 0, done.stderr
    assert _sent(rig) == [
        _job(1, amount="10.00", currency="EUR", reason=f'a{mark}\n"b"', metadata={"ticket": "T-7"}),
        _job(
            2, currency="EUR", restock=True, reason="=1+1",
            lines=[
                {"line_item_id": "l1", "quantity": 2, "amount": "3.50"},
                {"line_item_id": "l2", "quantity": 1},
            ],
            additional_fees=[{"additional_fee_id": "f1", "amount": "1.00"}],
        ),
        _job(3),
    ]  # fmt: skip


def test_a_file_that_is_not_there_is_named(rig: Rig, tmp_path: Path) -> None:
    """Or a directory; with the exit code of wrong usage."""
    for path in (tmp_path / "nowhere.jsonl", tmp_path):
        done = refunds(rig, "request", "--file", str(path))
        assert done.returncode == 2
        assert "cannot be read" in done.stderr


def test_an_empty_cell_is_no_whole_order(rig: Rig, tmp_path: Path) -> None:
    """A missing amount in a spreadsheet must not refund everything."""
    row = f"rf-1,{STORE_ID},{ORDER_ID},"
    file = _file(tmp_path, "refund_id,store_id,order_id,amount", row, name="jobs.csv")
    done = refunds(rig, "request", "--file", str(file))
    assert (done.returncode, _sent(rig)) == (2, [])
    assert "line 2 has nothing in amount: write all into the column amount" in done.stderr


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["refund_id,amount", "rf-1,1"], "needs a first line with the names of the fields"),
        (["refund_id,store_id,order_id,order_id", "a,b,c,d"], "needs a first line"),
        (["refund_id,store_id,order_id", "a,b,c,d"], "line 2 has 4 cells"),
        (["refund_id,store_id,order_id", 'a,"b"c,d'], "line 2 is not CSV"),
        (["refund_id,store_id,order_id,colour", "a,b,c,d"], "colour: there is no such field"),
        (["refund_id,store_id,order_id", f'a,"{"x" * 200_000}', "c"], "is not CSV"),
        ([], "contains no job"),
    ],
)
def test_a_malformed_csv_is_refused(rig: Rig, tmp_path: Path, lines: list[str], said: str) -> None:
    """With the line, and nothing is sent."""
    done = refunds(rig, "request", "--file", str(_file(tmp_path, *lines, name="jobs.csv")))
    assert (done.returncode, _sent(rig)) == (2, [])
    assert said in done.stderr


def test_a_very_long_line_is_refused_and_skipped() -> None:
    """It is never read as a whole; the next line is read as usual."""
    text = b'{"a": "' + b"x" * (3 * LONGEST_LINE) + b'"}\n' + json.dumps(_job(2)).encode()
    found = list(read_jobs(io.BytesIO(text), "x", is_csv=False))
    assert [(line.number, bool(line.job)) for line in found] == [(1, False), (2, True)]


class _Endless(io.RawIOBase):
    """A file with so many lines, which are made when they are read."""

    def __init__(self, count: int) -> None:
        self._lines = iter(json.dumps(_job(n)).encode() + b"\n" for n in range(count))

    def readline(self, _size: int | None = -1) -> bytes:
        return next(self._lines, b"")


def test_a_long_file_needs_no_more_memory_than_a_short_one() -> None:
    """It is read line by line."""

    def peak(count: int) -> int:
        tracemalloc.start()
        lines: Iterator[Any] = read_jobs(_Endless(count), "x", is_csv=False)  # type: ignore[arg-type]  # only readline
        assert sum(1 for _ in lines) == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)
    assert peak(5_000) < peak(50) + 100_000


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"), ("+49 30", "'+49 30"), ("-x", "'-x"), ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"), (" =1", "' =1"), ("\r=1", "'\r=1"), ("-12.50", "-12.50"), ("+5", "+5"),
        ("plain", "plain"), ("", ""), ("'quoted'", "'quoted'"), ("a=b", "a=b"),
    ],
)  # fmt: skip
def test_a_cell_never_begins_a_formula(text: str, cell: str) -> None:
    """A spreadsheet would run it; what we wrote is read back as it was."""
    assert safe_cell(text) == cell
    assert read_cell(cell) == text
