"""`refunds request` never refunds more than was meant, nor twice what was meant once."""

from __future__ import annotations

import json

import pytest

from tests.support.commands import ORDER_ID, refunds
from tests.support.rig import STORE_ID, Rig

IDS = ("--store", STORE_ID, "--order", ORDER_ID)


@pytest.mark.parametrize(
    "option",
    [
        "--amount",
        "--currency",
        "--refund-id",
        "--shipping",
        "--line",
        "--fee",
        "--manual-payments",
        "--reason",
    ],
)
@pytest.mark.parametrize("text", ["", " "])
def test_an_option_that_is_given_empty_is_refused(rig: Rig, option: str, text: str) -> None:
    """`--amount "$AMOUNT"` with an unset variable must not refund the whole order."""
    done = refunds(rig, "request", *IDS, option, text)
    assert done.returncode == 2
    assert f"{option} was given without a value" in done.stderr
    assert rig.redis.llen(rig.key("refunds")) == 0


@pytest.mark.parametrize("option", ["--store", "--order"])
def test_an_empty_id_is_refused(rig: Rig, option: str) -> None:
    """The message names the option and not only the field."""
    done = refunds(rig, "request", *IDS, option, "")
    assert (done.returncode, f"{option} was given without" in done.stderr) == (2, True)


def test_a_fee_with_a_colon_needs_an_amount(rig: Rig) -> None:
    """`--fee "F:$AMOUNT"` with an unset variable would refund the whole fee."""
    done = refunds(rig, "request", *IDS, "--fee", "F:")
    assert (done.returncode, "--fee F: has no amount" in done.stderr) == (2, True)


def test_a_generated_id_is_printed_before_anything_is_sent() -> None:
    """And again in the error: the same command without it would be another refund."""
    nowhere = {"REFUNDS_REDIS_URL": "redis://127.0.0.1:1/0"}
    done = refunds(None, "request", *IDS, environment=nowhere)
    assert done.returncode == 1
    announced, error = done.stderr.splitlines()[0], done.stderr.splitlines()[-1]
    refund_id = announced.split()[-1]
    assert announced == f"the refund ID is {refund_id}"
    assert error.endswith(
        f"it is not known whether the job was sent: repeat the command with --refund-id {refund_id}"
    )
    assert done.stdout == ""


def test_a_given_id_is_not_announced(rig: Rig) -> None:
    """The caller knows it."""
    done = refunds(rig, "request", *IDS, "--refund-id", "rf-1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "rf-1\n", "")


def test_the_json_error_carries_the_generated_id() -> None:
    """A script can repeat the command with it."""
    nowhere = {"REFUNDS_REDIS_URL": "redis://127.0.0.1:1/0"}
    done = refunds(None, "request", *IDS, "--json", environment=nowhere)
    answer = json.loads(done.stdout)
    assert answer["refund_id"] in answer["error"]["message"]
