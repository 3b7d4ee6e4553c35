"""The `refunds` program, as a person or a script uses it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.commands import ORDER_ID, refunds, settings_of
from tests.support.processes import REFUNDS, WORKER, run_program
from tests.support.rig import AFTER, STORE_ID, Rig
from worker.cli.common import user_name
from worker.demo.embedded import embedded_server
from worker.simulator import Fault, Simulator, serve


def _json(rig: Rig, *arguments: str) -> Any:
    done = refunds(rig, *arguments, "--json")
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_every_field_of_a_job_can_be_given_as_an_option(rig: Rig) -> None:
    """Operators can ask for everything that upstream services can ask for."""
    options = [
        "--line",
        "l1:2",
        "--shipping",
        "5.00",
        "--fee",
        "f1",
        "--fee",
        "f2:1.50",
        "--amount",
        "9.10",
        "--currency",
        "USD",
        "--manual-payments",
        "record",
        "--restock",
        "--notify-buyer",
        "--reason",
        "damaged",
    ]
    ids = ("--store", STORE_ID, "--order", ORDER_ID, "--refund-id", "rf-1")
    assert refunds(rig, "request", *ids, *options).returncode == 0
    rig.run_queued()
    asked = rig.load("rf-1").request
    assert [(line.line_item_id, line.quantity) for line in asked.lines] == [("l1", 2)]
    fees = [(fee.additional_fee_id, fee.amount) for fee in asked.additional_fees]
    assert fees == [("f1", None), ("f2", "1.50")]
    assert (asked.shipping, asked.amount, asked.currency) == ("5.00", "9.10", "USD")
    assert (asked.manual_payments, asked.restock, asked.notify_buyer) == ("record", True, True)
    wrong = refunds(rig, "request", *ids, "--manual-payments", "perhaps")
    assert (wrong.returncode, "manual_payments" in wrong.stderr) == (2, True)


def test_request_then_show_and_list(rig: Rig) -> None:
    """A requested refund can be shown and listed."""
    order = rig.order(AFTER)
    done = refunds(rig, "request", "--store", STORE_ID, "--order", order.id, "--refund-id", "rf-1")
    assert (done.returncode, done.stdout) == (0, "rf-1\n")
    rig.run_until_idle()
    shown = _json(rig, "show", "rf-1")
    assert (shown["state"], shown["flow"]) == ("refunded", "standard")
    assert shown["history"][0]["event"] == "refund.accepted"
    assert [row["refund_id"] for row in _json(rig, "list", "--state", "refunded")["refunds"]] == [
        "rf-1"
    ]
    assert _json(rig, "list", "--store", ORDER_ID)["refunds"] == []
    text = refunds(rig, "show", "rf-1").stdout
    assert "submit_refund" in text
    assert order.id in refunds(rig, "list").stdout


def test_a_refund_id_is_generated_if_none_is_given(rig: Rig) -> None:
    """It is printed, so that the refund can be looked up."""
    made = _json(rig, "request", "--store", STORE_ID, "--order", ORDER_ID)["enqueued"]
    assert len(made) == 1
    assert made[0].startswith("rf-")


def test_a_wrong_option_names_the_field_and_enqueues_nothing(rig: Rig) -> None:
    """Exit code 2."""
    done = refunds(rig, "request", "--store", STORE_ID, "--order", "12", "--line", "a:x")
    assert done.returncode == 2
    assert "job: order_id:" in done.stderr
    assert "job: lines.0.quantity: must be a whole number" in done.stderr
    done = refunds(rig, "request", "--store", STORE_ID, "--order", ORDER_ID, "--line", "a")
    assert (done.returncode, "job: lines.0.quantity: is required" in done.stderr) == (2, True)
    assert rig.redis.llen(rig.key("refunds")) == 0


def test_a_file_of_jobs_is_taken_whole_or_not_at_all(rig: Rig, tmp_path: Path) -> None:
    """Every wrong line is named, and none is put on the queue."""
    good = {"refund_id": "rf-1", "store_id": STORE_ID, "order_id": ORDER_ID}
    file = tmp_path / "jobs.jsonl"
    file.write_text(json.dumps(good) + "\n\nnope\n[1]\n" + json.dumps(good | {"amount": "-1"}))
    done = refunds(rig, "request", "--file", str(file))
    assert done.returncode == 2
    for place in (
        "jobs.jsonl, line 3 is not JSON",
        "line 4 is not a JSON object",
        "line 5: amount:",
    ):
        assert place in done.stderr
    assert rig.redis.llen(rig.key("refunds")) == 0
    file.write_text(json.dumps(good) + "\n")
    assert _json(rig, "request", "--file", str(file)) == {"ok": True, "sent": 1, "refused": 0}
    both = refunds(rig, "request", "--file", str(file), "--reason", "damaged")
    assert (
        both.returncode,
        "--file cannot be combined with options that describe a job (reason)" in both.stderr,
    ) == (2, True)
    file.write_text("\n")
    assert "contains no job" in refunds(rig, "request", "--file", str(file)).stderr


def test_dead_letters_are_listed_shown_and_replayed(rig: Rig) -> None:
    """Listed with reason and remedy, shown with their history, and resumed."""
    rig.simulator.script(Fault("status", "get_order", status=501))
    refund_id = rig.request(rig.order(AFTER))
    rig.run_until_idle()
    letters = _json(rig, "dead", "list")["dead"]
    assert [(x["id"], x["reason"]) for x in letters] == [(refund_id, "refused_by_wix")]
    letter = _json(rig, "dead", "show", refund_id)
    assert letter["remedy"].startswith("See Wix's error code")
    assert "refused_by_wix" in refunds(rig, "dead", "list").stdout
    assert "step.dead" in refunds(rig, "dead", "show", refund_id).stdout
    done = refunds(rig, "dead", "replay", refund_id, "nobody", "--by", "ann", "--reason", "x")
    assert done.returncode == 1
    assert f"{refund_id}: replayed" in done.stdout
    assert "nobody: there is no such dead letter" in done.stdout
    rig.run_until_idle()
    assert _json(rig, "show", refund_id)["state"] == "refunded"
    assert _json(rig, "dead", "list")["dead"] == []
    state = f"{refund_id}: not a dead letter: its state is refunded; see"
    assert state in refunds(rig, "dead", "replay", refund_id, "--reason", "x").stdout
    shown = refunds(rig, "dead", "show", refund_id)
    assert (shown.returncode, state in shown.stderr) == (1, True)


def test_an_unknown_refund_is_exit_1(rig: Rig) -> None:
    """Exit code 1, and nothing on standard output."""
    done = refunds(rig, "show", "nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no refund nobody" in done.stderr


def test_failures_have_one_shape_for_programs(rig: Rig) -> None:
    """With --json every failure prints one line of JSON; the exit codes stay the same."""
    nowhere = {"REFUNDS_REDIS_URL": "redis://127.0.0.1:1/0"}
    cases: list[tuple[list[str], dict[str, str] | None, int, str]] = [
        (["show", "nobody"], None, 1, "there is no refund nobody"),
        (["dead", "show", "nobody"], None, 1, "there is no such dead letter"),
        (["stores", "resume", "nobody"], None, 1, "there is no store nobody"),
        (["request", "--order", "12"], None, 2, "job: order_id: must be a Wix id"),
        (["outcomes", "--after", "foo"], None, 2, "--after takes a stream ID"),
        (["list"], {}, 2, "REFUNDS_REDIS_URL is not set"),
        (["list"], nowhere, 1, "does not answer"),
        (["list", "--limit", "many"], None, 2, "wrong usage"),
    ]
    for arguments, environment, code, said in cases:
        done = refunds(rig, *arguments, "--json", environment=environment)
        failure = json.loads(done.stdout)
        assert (done.returncode, failure["ok"], done.stdout.count("\n")) == (code, False, 1)
        assert said in failure["error"]["message"]
        assert done.stderr


def test_an_unknown_variable_is_named_on_standard_error(rig: Rig) -> None:
    """It is probably misspelled; the command runs without it."""
    done = refunds(rig, "list", environment=settings_of(rig) | {"REFUNDS_NAMESPACES": "x"})
    assert done.returncode == 0
    assert done.stderr == (
        "REFUNDS_NAMESPACES is not a known setting and is ignored;"
        " did you mean REFUNDS_NAMESPACE?\nNo refunds.\n"
    )


def test_a_missing_setting_and_a_missing_server_are_explained() -> None:
    """One sentence that says what to do, not a traceback."""
    done = refunds(None, "list", environment={})
    assert done.returncode == 2
    assert done.stderr.startswith("REFUNDS_REDIS_URL is not set")
    done = refunds(
        None, "list", environment={"REFUNDS_REDIS_URL": "redis://:hunter22@127.0.0.1:1/0"}
    )
    assert done.returncode == 1
    assert "Redis at REFUNDS_REDIS_URL does not answer" in done.stderr
    assert "hunter22" not in done.stderr


def test_a_server_that_refuses_us_is_not_called_unreachable() -> None:
    """Password, database, not Redis: each has its own message; the worker exits at once."""
    with embedded_server() as url, redis.Redis.from_url(url) as client, serve(Simulator()) as wix:
        cases = {url.replace("/0", "/99"): "has no database of the number"}
        assert _trouble_with(cases) == []
        client.config_set("requirepass", "hunter22")
        cases = {
            url: "has none; put :PASSWORD@ in front of the host, or USER:PASSWORD@",
            url.replace("://", "://:hunter23@"): "refuses the user or the password",
            wix.replace("http:", "redis:"): "is not Redis",
        }
        assert _trouble_with(cases) == []
        stores = f'{{"{STORE_ID}": {{"account_id": "a", "api_key": "k"}}}}'
        worker = run_program(
            WORKER,
            {"REFUNDS_REDIS_URL": url, "REFUNDS_STORES": stores, "REFUNDS_LOG_FORMAT": "json"},
        )
        client.config_set("requirepass", "")
    assert worker.returncode == 1
    [line] = map(json.loads, worker.stderr.splitlines())
    assert (line["event"], "asks for a password" in line["text"]) == ("doctor.refused", True)


def test_the_form_of_a_password_in_an_address_is_shown() -> None:
    """It is no secret: what masks passwords must not mask the words that say where one goes."""
    given = {"REFUNDS_REDIS_URL": "redis://localhost:1/0", "REFUNDS_WIX_PROXY": "ftp://proxy"}
    done = refunds(None, "list", environment=given)
    assert "USER:PASSWORD@" in done.stderr
    assert "redacted" not in done.stderr


def _trouble_with(cases: dict[str, str]) -> list[str]:
    """Return the output of each case that does not match its expected message."""
    wrong = []
    for url, said in cases.items():
        done = refunds(None, "list", environment={"REFUNDS_REDIS_URL": url})
        is_right = done.returncode == 1 and said in done.stderr and "hunter" not in done.stderr
        wrong += [] if is_right else [done.stderr]
    return wrong


def test_the_refunds_of_the_demo_match_wixs_records() -> None:
    """`refunds demo --json`: one document on stdout, log lines in JSON on stderr."""
    done = run_program([*REFUNDS, "demo", "--json"])
    report = json.loads(done.stdout)
    assert (done.returncode, report["ok"], report["wrong"]) == (0, True, [])
    assert [refund["state"] for refund in report["refunds"]] == [
        "cancelled", "cancelled", "refunded", "refunded", "refunded", "rejected", "refunded",
    ]  # fmt: skip
    assert sorted(report["wix"]["refunds_per_order"].values()) == [0, 0, 0, 1, 1, 1, 1]
    assert len(report["wix"]["cancelled_orders"]) == 2
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    events = {line["event"] for line in lines}
    assert {"refund.accepted", "step.done", "step.retry", "step.rejected", "step.dead"} <= events
    assert "demo-key" not in done.stderr + done.stdout


def test_audit_and_doctor_answer_with_their_exit_code(rig: Rig) -> None:
    """0 if all is well, 1 if not."""
    refund_id = rig.request(rig.order(AFTER))
    rig.run_until_idle()
    assert _json(rig, "audit") == {
        "ok": True, "refunds": 1, "forgotten": 0, "compared": None, "repaired": False,
        "problems": [],
    }  # fmt: skip
    rig.redis.zadd(rig.key("due"), {refund_id: 1})
    done = refunds(rig, "audit")
    assert (done.returncode, "ended, but still queued" in done.stdout) == (1, True)
    assert "--repair" in done.stderr
    assert refunds(rig, "audit", "--repair").returncode == 1
    assert "Each refund is in exactly one place (1 checked)." in refunds(rig, "audit").stderr
    compared = refunds(rig, "audit", "--against-wix", "--rate", "100")
    assert "connect it with `refunds stores connect`" in compared.stdout
    assert _json(rig, "audit", "--against-wix")["compared"] == 1
    with serve(rig.simulator) as wix_url:
        there = settings_of(rig) | {"REFUNDS_WIX_BASE_URL": wix_url}
        assert refunds(None, "doctor", environment=there).returncode == 0
    assert (
        refunds(None, "doctor", environment={"REFUNDS_REDIS_URL": "redis://127.0.0.1:1"}).returncode
        == 1
    )


@pytest.mark.parametrize("kind", [KeyError, OSError])
def test_a_user_without_a_name_is_named_by_number(kind: type[Exception]) -> None:
    """A container may run as a user id that /etc/passwd does not have."""

    def no_name() -> str:
        raise kind("getpwuid(): uid not found: 4321")

    assert user_name(no_name) == f"user {os.getuid()}"
    assert user_name(lambda: "ann") == "ann"
