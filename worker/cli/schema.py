"""`refunds schema`: JSON Schema of what goes in and of what comes out."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.common import AsJson, explain_errors
from worker.cli.output import print_json
from worker.refund.schema import Name, schema_of

EXAMPLE = "Example: refunds schema job > job.schema.json"


@explain_errors
def schema(
    name: Annotated[Name, typer.Argument(help="What to describe.")],
    as_json: AsJson = False,  # noqa: ARG001 - a schema is JSON in any case
) -> None:
    """Print the JSON Schema of a job or of an outcome event."""
    print_json(schema_of(name))
