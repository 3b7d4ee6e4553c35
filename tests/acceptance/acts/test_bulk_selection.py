"""What a bulk act acts on: ids, a file, or what a filter matches; frozen and confirmed."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from statemachine.flows import State
from tests.support.bulk import WHY, dead_letters, job_of, results, start, turn
from tests.support.commands import refunds, settings_of
from tests.support.rig import AFTER, KEY, STORE_ID, Rig
from worker.ledger.jobs import Order
from worker.simulator import Fault


def test_a_filter_selects_and_says_count_and_amounts(rig: Rig) -> None:
    """Nothing is done without a confirmation."""
    dead_letters(rig, 2)
    rig.simulator.script(Fault("status", "get_order", status=501))
    other = rig.run(rig.order(AFTER), amount="12.30", currency="USD").refund_id
    options = ("--reason-code", "refused_by_wix", "--transition", "assess_order")
    done = refunds(rig, "dead", "discard", *options, *WHY)
    assert (done.returncode, "1: 12.30 USD: confirm it with --yes" in done.stderr) == (2, True)
    job_id = start(rig, "dead", "discard", *options, *WHY)
    assert job_of(rig, job_id).amounts == {"sums": {"USD": "12.30"}, "unknown": 0}
    turn(rig)
    assert rig.load(other).state is State.DISCARDED
    assert rig.ledger.count(State.DEAD) == 2
    nothing = refunds(rig, "dead", "discard", "--order", STORE_ID, *WHY, "--yes")
    assert (nothing.returncode, "nothing matches" in nothing.stderr) == (1, True)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ([], "or say --all"),
        (["rf-1", "--all"], "exclude each other"),
        (["--amount-over", "much"], "a plain decimal"),
        (["--since", "yesterday"], "an age like"),
        (["--store", "nobody"], "--store takes a site ID"),
        (["--not-done", "--all"], "one ID"),
        (["--rate", "0", "--all"], "rate"),
    ],
)
def test_what_is_meant_must_be_clear(rig: Rig, options: list[str], text: str) -> None:
    """Wrong usage, exit code 2."""
    done = refunds(rig, "dead", "replay", *options, *WHY, "--yes")
    assert (done.returncode, text in done.stderr) == (2, True), done.stderr


def test_a_file_names_ids_and_each_has_a_result(rig: Rig, tmp_path: Path) -> None:
    """Comments and other columns are ignored; an unknown id is refused, not forgotten."""
    [letter] = dead_letters(rig, 1)
    file = tmp_path / "ids.txt"
    file.write_text(f"# from the night shift\n{letter} 12.30 USD\n\nnobody\n")
    job_id = start(rig, "dead", "replay", "--file", str(file), *WHY)
    turn(rig)
    assert results(rig, job_id) == {letter: "done", "nobody": "refused"}
    file.write_text("\n")
    empty = refunds(rig, "dead", "replay", "--file", str(file), *WHY)
    assert (empty.returncode, "contains no ID" in empty.stderr) == (2, True)


def test_what_waits_for_a_retry_is_spread_over_the_rate(rig: Rig) -> None:
    """Only what waits: of one store, or of all."""
    rig.simulator.script(Fault("status", "get_order", status=503, times=3))
    ids = [rig.request(rig.order(AFTER)) for _ in range(3)]
    rig.run_queued()
    assert rig.redis.zcard(rig.key("due")) == 3
    job_id = start(rig, "retry", "--store", STORE_ID, "--rate", "1", "--by", "ann")
    assert len(rig.app.jobs.jobs.due()) == 2
    turn(rig)
    assert job_of(rig, job_id).done == 3
    rig.run_until_idle()
    assert {rig.load(each).state for each in ids} == {State.REFUNDED}


def test_holding_and_releasing_all_refunds_of_a_store(rig: Rig) -> None:
    """Both are bulk acts, too."""
    ids = [rig.request(rig.order(AFTER)) for _ in range(4)]
    rig._one("refunds")
    while rig._waiting("refunds"):
        rig._one("refunds")
    start(rig, "hold", "--store", STORE_ID, *WHY)
    turn(rig)
    rig.run_until_idle()
    assert {rig.load(each).state for each in ids} == {State.ACCEPTED}
    assert rig.problems() == []
    start(rig, "release", "--all", *WHY)
    turn(rig)
    rig.run_until_idle()
    assert {rig.load(each).state for each in ids} == {State.REFUNDED}


def test_messages_are_discarded_in_bulk(rig: Rig) -> None:
    """Letters that never became a refund leave the list."""
    for n in range(3):
        rig.send_raw(f"no message {n}", message_id=f"m-{n}")
    rig.run_queued()
    job_id = start(rig, "dead", "discard", "--reason-code", "undecodable", *WHY)
    turn(rig)
    assert (job_of(rig, job_id).done, rig.broker.quarantined()) == (3, {})


def test_a_selection_that_nobody_confirms_is_forgotten(rig: Rig) -> None:
    """At once if somebody says no, else after a day; what has ended is kept for a month."""
    dead_letters(rig, 1)
    jobs = rig.app.jobs.jobs
    assert refunds(rig, "dead", "replay", "--all", *WHY).returncode == 2
    assert jobs.newest(10) == []
    assert list(rig.redis.scan_iter(rig.key("job*"))) == []
    order = Order(
        act="dead.replay", arguments={}, by="ann", why="x", selection="all", rate=1.0, canary=0
    )
    job_id = jobs.freeze(order, [("rf-1", {"version": 1})])
    for more in ((), ("items",), ("todo",)):
        assert 0 < rig.redis.ttl(rig.key("job", job_id, *more)) <= 86_400
    turn(rig)
    assert job_of(rig, job_id).left == 1
    rig.redis.delete(rig.key("job", job_id))
    started = start(rig, "dead", "replay", "--all", *WHY)
    assert rig.redis.zrange(rig.key("jobs"), 0, -1) == [started]
    assert rig.redis.ttl(rig.key("job", started)) == -1
    turn(rig)
    assert rig.redis.ttl(rig.key("job", started)) > 86_400


@pytest.mark.parametrize(("typed", "starts"), [("2", True), ("yes", False), ("3", False)])
def test_many_are_confirmed_by_typing_their_number(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, typed: str, starts: bool
) -> None:
    """Above REFUNDS_BULK_CONFIRM; a yes is not enough."""
    dead_letters(rig, 2)
    terminal = io.StringIO(f"{typed}\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    given = settings_of(rig) | {"REFUNDS_BULK_CONFIRM": "1"}
    done = refunds(rig, "dead", "replay", "--all", *WHY, environment=given)
    assert (done.returncode == 0) is starts, done.stderr
    assert len(rig.app.jobs.jobs.newest(10)) == starts
    assert "dead.replay for 2: 202.80 USD" in done.stderr


def test_a_dry_run_takes_the_same_selection(rig: Rig) -> None:
    """It changes nothing and starts no job."""
    dead_letters(rig, 2)
    done = refunds(rig, "dead", "replay", "--all", "--dry-run", "--json")
    told = json.loads(done.stdout)
    assert [one["result"] for one in told["dry_run"]] == ["unasked", "unasked"]
    assert done.returncode == 1
    assert rig.app.jobs.jobs.newest(10) == []


#: Filters, as typed; the dead letters of the test below differ in all of them.
SELECTIONS = [
    "--all",
    f"--store {STORE_ID}",
    "--reason-code refused_by_wix",
    "--reason-code answer_unreadable",
    "--code TEAPOT",
    "--code 501",
    "--code TEAPOT --reason-code refused_by_wix --amount-over 10",
    "--refund rf-*",
    "--refund rf-2",
    "--state refundable",
    "--transition submit_refund",
    "--text vase",
    "--amount-over 12.30",
    "--since 1h",
    "--until 1h",
]


@pytest.fixture
def letters(rig: Rig) -> Rig:
    """Dead letters of several causes, amounts and currencies, and one of a message."""
    causes: list[tuple[Fault, dict[str, str]]] = [
        (Fault("status", "submit_refund", status=428, code="TEAPOT"), {"reason": "Blue Vase"}),
        (Fault("status", "submit_refund", status=428, code="TEAPOT"), {"amount": "12.30"}),
        (Fault("status", "submit_refund", status=501), {"amount": "9.99"}),
        (Fault("status", "get_order", status=501), {}),
        (Fault("status", "get_order", status=501), {"amount": "12.31", "reason": "vase, too"}),
    ]
    for number, (fault, more) in enumerate(causes, 1):
        rig.simulator.script(fault)
        money = {"currency": "USD"} if "amount" in more else {}
        rig.request(rig.order(AFTER), f"rf-{number}", **more, **money)
        rig.run_until_idle()
    rig.send_raw("no message", message_id="m-1")
    rig.run_queued()
    assert rig.ledger.count(State.DEAD) == 5
    return rig


@pytest.mark.parametrize("typed", SELECTIONS)
def test_a_list_and_an_act_select_the_same(letters: Rig, typed: str) -> None:
    """The same count, the same sums, and the same ids; the lists show messages, too."""
    listed = json.loads(refunds(letters, "dead", "list", "--json", *typed.split()).stdout)
    names = {row["id"] for row in listed["dead"]}
    done = refunds(letters, "dead", "discard", "--yes", "--json", *typed.split(), *WHY)
    assert (done.returncode == 0) is bool(names), done.stderr
    if names:
        job = json.loads(done.stdout)
        assert job["total"] == listed["total"] + listed["messages"] == len(names)
        unknown = listed["amount_unknown"] + listed["messages"]
        assert job["amounts"] == {"sums": listed["amounts"], "unknown": unknown}
        assert {item for item, _ in letters.app.jobs.jobs.items(job["job_id"])} == names


def test_a_pasted_key_is_not_repeated(rig: Rig) -> None:
    """Neither by a list nor by an act, in the place of any id."""
    for option in ("--store", "--order", "--refund", "--reason-code", "--code"):
        for command in (("dead", "list"), ("list",), ("dead", "discard", *WHY)):
            done = refunds(rig, *command, option, KEY)
            assert (done.returncode, f"{option} takes" in done.stderr) == (2, True)
            assert KEY not in done.stdout + done.stderr
