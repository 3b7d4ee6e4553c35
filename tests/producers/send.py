"""The producers in Python: `python -m tests.producers.send python|http FILE`.

FILE has one item per line, as `run.py` writes it. An answer is printed for each: its number, and
what the producer was told.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.support.processes import PATIENCE_S
from worker.upstream import RefundQueue

#: How many jobs are sent at once.
AT_ONCE = 100
WRONG_KEY = "a-key-that-nobody-knows-0123456789ab"

Row = dict[str, Any]
Answers = Iterator[tuple[int, str]]


def python(rows: list[Row]) -> Answers:
    """Send them with `RefundQueue`; a wrong signature is made with another key."""
    url, namespace = os.environ["REDIS_URL"], os.environ["NAMESPACE"]
    right, wrong = (
        RefundQueue(url, namespace=namespace, producer="python", key=key)
        for key in (os.environ["KEY"], WRONG_KEY)
    )
    with right, wrong:
        for first in range(0, len(rows), AT_ONCE):
            some = rows[first : first + AT_ONCE]
            for queue in (right, wrong):
                sent = [row for row in some if (row["kind"] == "badly signed") == (queue is wrong)]
                answer = queue.request_many(row["job"] for row in sent)
                refused = {one.number: one.error.errors[0].field for one in answer.refused}
                for number, row in enumerate(sent, start=1):
                    field = refused.get(number)
                    yield row["number"], f"refused {field}" if field else "sent"


def http(rows: list[Row]) -> Answers:
    """Send them to the API; instead of a wrong signature there is a wrong token."""
    with httpx.Client(base_url=os.environ["API_URL"], timeout=PATIENCE_S) as client:
        for row in rows:
            token = WRONG_KEY if row["kind"] == "badly signed" else os.environ["TOKEN"]
            headers = {"Idempotency-Key": row["refund_id"], "Authorization": f"Bearer {token}"}
            answer = client.post("/v1/refunds", json=row["job"], headers=headers)
            errors = answer.json().get("errors") or [{}]
            yield row["number"], f"{answer.status_code} {errors[0].get('field', '')}".strip()


def main() -> None:
    """Send what the file says."""
    how = {"python": python, "http": http}[sys.argv[1]]
    rows = [json.loads(line) for line in Path(sys.argv[2]).read_text().splitlines()]
    for number, answer in how(rows):
        sys.stdout.write(f"{number}\t{answer}\n")


if __name__ == "__main__":
    main()
