"""The table of reason codes as a document."""

from __future__ import annotations

from worker.refund.reasons import REASONS

_SHOWN = {
    "rejected": "rejected",
    "dead": "dead letter",
    "suspended": "suspended store",
    "held": "on hold",
}


def reasons_table() -> str:
    """Return the table as Markdown, for worker/refund/README.md."""
    rows = [
        "| reason | ends as | can be replayed | meaning | remedy |",
        "|---|---|---|---|---|",
    ]
    rows += [
        f"| `{code}` | {_SHOWN[r.ends]} | {'yes' if r.replayable else 'no'} |"
        f" {r.meaning} | {r.remedy} |"
        for code, r in REASONS.items()
    ]
    return "\n".join(rows) + "\n"
