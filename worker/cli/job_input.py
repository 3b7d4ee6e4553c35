"""Jobs from the command line: from options, or from a file of JSON lines."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from worker.cli.files import Unreadable, read_json, read_text
from worker.refund.request import InvalidJob, RefundRequest, parse_request


class WrongJobs(ValueError):
    """At least one job is wrong, so none was put on the queue; each line names place and field."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def parse_line(text: str) -> dict[str, Any]:
    """Read LINE_ITEM_ID:QUANTITY; a missing or invalid quantity is reported by its field.

    The quantity has no default: without one, the caller may mean one unit or the whole line.
    """
    line_item_id, _, quantity = text.rpartition(":")
    if not line_item_id:
        return {"line_item_id": text}
    return {
        "line_item_id": line_item_id,
        "quantity": int(quantity) if re.fullmatch("[0-9]{1,9}", quantity) else quantity,
    }


def parse_fee(text: str) -> dict[str, str]:
    """Read FEE_ID or FEE_ID:AMOUNT; without an amount, the rest of the fee is refunded."""
    fee_id, _, amount = text.partition(":")
    return {"additional_fee_id": fee_id} | ({"amount": amount} if amount else {})


def from_options(job: Mapping[str, Any]) -> list[RefundRequest]:
    """Check the one job that the options describe.

    Raises:
        WrongJobs: names every wrong field.
    """
    return _checked({"job": job})


def from_file(file: Path, options: Collection[str]) -> list[RefundRequest]:
    """Check every line of a file; each describes a complete job, so no *options* are allowed.

    Raises:
        WrongJobs: names every wrong line and field.
    """
    if options:
        raise WrongJobs(
            "--file cannot be combined with options that describe a job"
            f" ({', '.join(options)}): put these fields into the file"
        )
    jobs: dict[str, Any] = {}
    try:
        content = read_text(file)
    except Unreadable as error:
        raise WrongJobs(f"{file.name} {error}") from None
    # Only a line feed ends a line: others of str.splitlines() may be part of a text.
    for number, text in enumerate(content.split("\n"), start=1):
        if text.strip():
            jobs[f"{file.name}, line {number}"] = _decoded(text)
    if not jobs:
        raise WrongJobs(f"{file.name} contains no job: write one JSON object per line")
    return _checked(jobs)


def _decoded(text: str) -> Any:
    """Return the object of a line, or a string that says why it is not one."""
    try:
        job = read_json(text)
    except Unreadable as error:
        return str(error)
    return job if isinstance(job, dict) else "is not a JSON object"


def _checked(jobs: Mapping[str, Any]) -> list[RefundRequest]:
    requests, wrong = [], []
    for place, job in jobs.items():
        if isinstance(job, str):
            wrong.append(f"{place} {job}")
            continue
        try:
            requests.append(parse_request(job))
        except InvalidJob as error:
            wrong.extend(f"{place}: {field}: {text}" for field, text in error.problems.items())
    if wrong:
        raise WrongJobs(*wrong)
    return requests
