"""`refunds stores check|keygen|reseal`: the API keys of stores, and the keys that encrypt them."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from worker.cli.cells import in_each_cell, of_store_or_each
from worker.cli.common import AsJson, explain_errors, fail, named
from worker.cli.completion import store_ids
from worker.cli.operator import By, OptionalWhy, operator
from worker.cli.output import print_json, print_line, print_table, say
from worker.cli.store_desk import Desk, open_desk, print_checks
from worker.stores import connecting
from worker.stores.vault import new_key

#: The commands of this module, by name.
EXAMPLES = {
    "check": "Example: refunds stores check --all",
    "keygen": 'Example: export REFUNDS_VAULT_KEYS="$(refunds stores keygen)"',
    "reseal": "Example: refunds stores reseal",
}


@explain_errors
@of_store_or_each
def check(
    store_id: Annotated[
        str,
        typer.Argument(
            metavar="SITE_ID",
            autocompletion=store_ids,
            help="Site ID of the store.",
            show_default=False,
        ),
    ] = "",
    every: Annotated[bool, typer.Option("--all", help="Check every store.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check the API keys of stores with Wix.

    The exit code is 1 if a permission is missing or could not be checked. Resumes no store.
    """
    if bool(store_id) == every:
        fail("give either one SITE_ID or --all", code=2)
    desk = open_desk()
    ids = desk.all_ids() if every else [store_id]
    results: list[dict[str, Any]] = []
    for number, each in enumerate(ids, 1):
        store = named(each).lower()
        say(f"store {number}/{len(ids)}: {store}")
        results.append(_checked(desk, store, as_json=as_json))
    is_good = all(result["ok"] for result in results)
    if as_json:
        print_json({"ok": is_good, "checked": results})
    if not is_good:
        raise typer.Exit(1)


def _checked(desk: Desk, store_id: str, *, as_json: bool) -> dict[str, Any]:
    try:
        findings = connecting.check(
            store_id, keyring=desk.keyring, stores=desk.stores, examiner=desk.examiner
        )
    except connecting.CannotDo as refusal:
        say(str(refusal))
        return {"store_id": store_id, "ok": False, "reason": "no_key", "sentence": str(refusal)}
    if not as_json:
        print_checks(findings)
    if findings.is_good and desk.stores.find(store_id).state == "suspended":
        say(f"The store is still suspended; to resume it: refunds stores resume {store_id}")
    return {"store_id": store_id, **findings.public()}


@explain_errors
def keygen(as_json: AsJson = False) -> None:
    """Make a vault key for REFUNDS_VAULT_KEYS.

    Store it like a password: saved API keys cannot be decrypted without it.
    """
    key = new_key()
    print_line(json.dumps({"vault_key": key}) if as_json else key)


@explain_errors
@in_each_cell
def reseal(by: By = "", reason: OptionalWhy = "", as_json: AsJson = False) -> None:
    """Encrypt all API keys with a new vault key.

    That is the first key in REFUNDS_VAULT_KEYS; the others can be removed afterwards.
    """
    desk = open_desk()
    results = connecting.reseal(
        vault=desk.vault, stores=desk.stores, progress=say, operator=operator(by, reason)
    )
    is_done = set(results.values()) <= {"resealed"}
    if as_json:
        print_json({"ok": is_done, "resealed": results})
    else:
        print_table(
            [{"store_id": store_id, "result": text} for store_id, text in results.items()],
            ("store_id", "result"),
            empty="No API keys are in the vault.",
        )
    if not is_done:
        raise typer.Exit(1)
