"""Version, help, wrong usage and completion of the commands."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version

import pytest

from tests.support.commands import refunds
from tests.support.processes import REFUNDS, run_program

#: What has commands of its own.
GROUPS = [
    [],
    ["dead"],
    ["stores"],
    ["jobs"],
    ["observability"],
    ["deploy"],
    ["api"],
    ["console"],
    ["archive"],
    ["webhooks"],
    ["simulator"],
    ["simulator", "key"],
    ["simulator", "fault"],
    ["simulator", "merchant"],
]


def test_the_version_is_that_of_the_package() -> None:
    """`refunds --version` prints one line and exits with 0."""
    done = run_program([*REFUNDS, "--version"])
    assert (done.returncode, done.stdout) == (0, f"refunds {version('wix-refund-worker')}\n")


def test_an_unknown_option_or_command_is_refused() -> None:
    """Exit code 2, and nothing on standard output."""
    for done, unknown in (
        (run_program([*REFUNDS, "--versoin"]), "--versoin"),
        (refunds(None, "refnud"), "refnud"),
    ):
        assert (done.returncode, done.stdout) == (2, "")
        assert unknown in done.stderr


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_of_commands_has_help_with_an_example(group: list[str]) -> None:
    """The help of a group has its own example, and cuts off no sentence about a command."""
    done = refunds(None, *group, "--help", environment={})
    assert f"Example: {' '.join(['refunds', *group])}" in done.stdout
    assert "..." not in done.stdout.partition("\nCommands:\n")[2]


@pytest.mark.parametrize(
    "command",
    [
        "demo",
        "request",
        "show",
        "list",
        "simulator",
        "simulator key revoke",
        "simulator key restore",
        "simulator fault add",
        "simulator fault clear",
        "simulator merchant fulfil",
        "simulator merchant cancel",
        "simulator merchant refund",
        "diagram",
        "schema",
        "dead list",
        "dead show",
        "dead replay",
        "audit-log",
        "logs",
        "observability export",
        "dead resolve",
        "dead discard",
        "retry",
        "cancel",
        "hold",
        "release",
        "edit",
        "pause",
        "resume",
        "stores pause",
        "jobs list",
        "jobs show",
        "jobs stop",
        "jobs continue",
        "archive find",
        "archive export",
        "archive adopt",
        "outcomes",
        "audit",
        "doctor",
        "deploy export",
    ],
)
def test_every_command_has_help_with_an_example(command: str) -> None:
    """Every command has --json as well."""
    done = refunds(None, *command.split(), "--help", environment={})
    assert done.returncode == 0
    assert f"Example: refunds {command}" in done.stdout
    assert "--json" in done.stdout


@pytest.mark.parametrize(
    ("command", "suggestion"),
    [
        ("request --id rf-1", " (Possible options: --refund-id)"),
        ("request --refund rf-1", " (Possible options: --refund-id)"),
        ("request --order-nr 1", " (Possible options: --order, --order-number)"),
        ("request --reson x", " (Possible options: --reason)"),
        ("list --store-id x", " (Possible options: --store)"),
        ("list --sku x", ""),
    ],
)
def test_a_wrong_option_is_answered_with_the_one_that_was_meant(
    command: str, suggestion: str
) -> None:
    """By its words, or by its spelling; without any that is merely as long."""
    done = refunds(None, *command.split(), environment={})
    assert done.returncode == 2
    assert done.stderr.endswith(f"\nError: No such option: {command.split()[1]}{suggestion}\n")


def test_the_diagram_is_printed() -> None:
    """One for each flow: as plain Mermaid text, or as JSON."""
    text = refunds(None, "diagram", environment={}).stdout
    drawn = json.loads(refunds(None, "diagram", "--json", environment={}).stdout)["mermaid"]
    assert list(drawn) == ["cancellation", "standard", "refund_then_cancel"]
    for flow, diagram in drawn.items():
        assert diagram.startswith("stateDiagram-v2")
        assert f"%% {flow}\n{diagram}" in text


def test_tab_completion_knows_commands_and_states() -> None:
    """Tab completion works, shown here without installing it."""
    environment = {
        "_REFUNDS_COMPLETE": "complete_bash",
        "COMP_WORDS": "refunds list --state re",
        "COMP_CWORD": "3",
    }
    code = "import sys; sys.argv[0] = 'refunds'; from worker.cli.main import main; main()"
    done = run_program([sys.executable, "-c", code], environment)
    assert set(done.stdout.split()) == {
        "refundable",
        "refund_submitted",
        "refund_awaited",
        "refund_due",
        "refunded",
        "rejected",
        "restoring",
        "resolved",
    }
