"""What a chaos run says: while it runs, at the end, and in tests/README.md."""

from __future__ import annotations

from typing import Any

from tests.chaos.plan import DISTURBANCES, OLDER
from tests.chaos.upstream import HOPEFUL

#: Counted in addition to the kill itself.
OLDER_KILL = "kill of an older worker"
#: What a person does after a crash in the first second of a cell.
ADOPTED = "adoptions of a cell that lost its first second"
#: What must be 0.
WRONG = (
    "lost",
    "doubled",
    "stuck",
    "dead",
    "rejected",
    "wrong_events",
    "disagreeing",
    "in_two_cells",
)

#: How Wix returns the text that holds our fingerprint.
RETURNED = {"kept": "unchanged", "upper": "in upper case", "spaced": "with other spaces"}


def failures(summary: dict[str, Any]) -> list[str]:
    """Return what must be 0 and is not."""
    return [name for name in WRONG if summary[name]]


def sentence(summary: dict[str, Any]) -> str:
    """Return the figures of a run, with all that it contained."""
    actions = summary["actions"]
    harms = [
        f"{actions[what]} {disturbance.text}"
        for what, disturbance in DISTURBANCES.items()
        if actions.get(what)
    ]
    if OLDER not in summary["left_out"]:
        harms.insert(1, f"{actions.get(OLDER_KILL, 0)} of them of the older version")
    if actions.get(ADOPTED):
        harms.append(f"{actions[ADOPTED]} {ADOPTED}")
    left_out = ", ".join(f"{name} ({why})" for name, why in summary["left_out"].items())
    return (
        f"{summary['runs']:,} refunds of {len(HOPEFUL)} kinds on {_spread(summary['stores'])} in"
        f" {summary['took_s']} s: {', '.join(harms)};"
        f" {sum(summary['wix_wrongs'].values()):,} of {summary['wix_calls']:,} calls gone wrong,"
        f" fingerprints returned {RETURNED[summary['reason_text']]};"
        f" {actions.get('jobs sent again', 0):,} jobs sent again"
        + (f"; left out: {left_out}" if left_out else "")
        + f"; lost {summary['lost']}, doubled {summary['doubled']}, stuck {summary['stuck']},"
        f" dead {summary['dead']} (seed {summary['seed']})"
    )


def _spread(stores: dict[str, int]) -> str:
    """Say how many stores there were, and in which cells if there were any."""
    text = f"{sum(stores.values())} stores"
    named = ", ".join(f"{count} in {cell}" for cell, count in stores.items())
    return f"{text} ({named})" if len(stores) > 1 else text
