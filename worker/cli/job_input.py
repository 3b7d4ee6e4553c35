"""Jobs as an operator gives them: options, or a file of JSON lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker.refund.request import InvalidJob, RefundRequest, parse_request


class WrongJobs(ValueError):
    """At least one job is wrong; the text names place and field. None was enqueued."""


def parse_line(text: str) -> dict[str, Any]:
    """LINE_ITEM_ID:QUANTITY as a refund line; a missing or odd quantity is told by its field.

    One unit is not assumed: somebody may mean the whole line.
    """
    line_item_id, _, quantity = text.rpartition(":")
    if not line_item_id:
        return {"line_item_id": text}
    return {
        "line_item_id": line_item_id,
        "quantity": int(quantity) if quantity.isdigit() else quantity,
    }


def parse_fee(text: str) -> dict[str, str]:
    """FEE_ID or FEE_ID:AMOUNT as a refund fee; without an amount all that is left of it."""
    fee_id, _, amount = text.partition(":")
    return {"additional_fee_id": fee_id} | ({"amount": amount} if amount else {})


def read(given: Mapping[str, Any], file: Path | None) -> list[RefundRequest]:
    """Check one job of options, or every line of a file, which then says all of its job.

    Raises:
        WrongJobs: with every wrong line and field.
    """
    options = {name: value for name, value in given.items() if value not in ("", [], False)}
    if file is None:
        return _checked({"job": options})
    if options:
        raise WrongJobs(
            f"with --file the jobs stand in the file, each with all of its fields; without it the"
            f" options say one job (here: {', '.join(options)})"
        )
    jobs: dict[str, Any] = {}
    for number, text in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if text.strip():
            jobs[f"{file.name}, line {number}"] = _decoded(text)
    if not jobs:
        raise WrongJobs(f"{file.name} holds no job: it must be JSON lines, an object each")
    return _checked(jobs)


def _decoded(text: str) -> Any:
    try:
        job = json.loads(text)
    except ValueError as error:
        return f"is not JSON: {error}"
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
        raise WrongJobs("\n".join(wrong))
    return requests
