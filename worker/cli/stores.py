"""`refunds stores`: connect stores, check and resume them, and disconnect them."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.cells import home_of_store, in_each_cell, in_home_of, of_store
from worker.cli.common import AsJson, connect_acts, explain_errors, fail, named
from worker.cli.completion import store_ids
from worker.cli.operator import By, OptionalWhy, Why, operator
from worker.cli.output import moment, print_json, print_table, say
from worker.cli.store_desk import open_desk, print_checks
from worker.cli.store_input import from_options, from_stdin
from worker.cli.store_keys import EXAMPLES, check, keygen, reseal
from worker.cli.store_observing import EXAMPLE, ON, observe
from worker.ledger.audit_log import Operator
from worker.operations.acts import stores as pausing
from worker.operations.acts.observing import observe as set_observed
from worker.operations.acts.refusals import CannotAct
from worker.operations.describing import store_state
from worker.stores import connecting
from worker.stores.checklist import Findings
from worker.stores.pasted import Pasted
from worker.stores.vault import Vault

stores = typer.Typer(
    no_args_is_help=True,
    help="Stores: connect, list, check, observe, pause, disconnect.",
    epilog="Example: refunds stores check --all",
)

for command in (check, keygen, reseal):
    stores.command(epilog=EXAMPLES[command.__name__])(command)
stores.command(epilog=EXAMPLE)(observe)

StoreId = Annotated[
    str,
    typer.Argument(metavar="SITE_ID", autocompletion=store_ids, help="Site ID of the store."),
]
Site = Annotated[
    str, typer.Option("--site", "--site-id", help="Site ID, or the URL of the site's dashboard.")
]
Account = Annotated[str, typer.Option("--account", "--account-id", help="Account ID.")]
ApiKeyFile = Annotated[
    str, typer.Option(help="File that contains the API key; - is standard input.")
]
Stdin = Annotated[
    bool,
    typer.Option(
        "--stdin",
        help='Read JSON from standard input: {"site_id": …, "account_id": …, "api_key": …}',
    ),
]


Observed = Annotated[bool, typer.Option("--observe", help="Tell upstream what the merchant does.")]


@stores.command(
    "connect",
    epilog="Example: refunds stores connect --site 4b296c48-0000-4000-8000-000000000001"
    " --account 0f5b7a1e-0000-4000-8000-000000000002 --api-key-file key.txt",
)
@explain_errors
def connect(
    site: Site = "",
    account: Account = "",
    api_key_file: ApiKeyFile = "",
    stdin: Stdin = False,
    observed: Observed = False,
    by: By = "",
    reason: OptionalWhy = "",
    as_json: AsJson = False,
) -> None:
    """Check a store's API key with Wix and save it encrypted.

    Prompts for missing values; the key is not echoed.
    """
    vault = open_desk().vault
    pasted = from_stdin() if stdin else from_options(site, account, api_key_file)
    for note in (*pasted.cleaned, *pasted.warnings):
        say(note)
    if pasted.problems:
        _refuse(pasted)
    with in_home_of(pasted.site_id):
        findings = _connect(pasted, vault, operator(by, reason), observed=observed)
    if as_json:
        notes = {"cleaned": list(pasted.cleaned), "warnings": list(pasted.warnings)}
        print_json({"store_id": pasted.site_id, **findings.public(), **notes})
    else:
        print_checks(findings)
        say(_result(findings, pasted.site_id))
        if observed and findings.is_good:
            say(f"Observed: {ON}.")
    if not findings.is_good:
        raise typer.Exit(1)


def _connect(pasted: Pasted, vault: Vault, who: Operator, *, observed: bool) -> Findings:
    """Check and save the key in the cell of the store."""
    desk = open_desk()
    if pasted.site_id in desk.keyring.given:
        say("This store is in REFUNDS_STORES as well; from now on the vault's key is used.")
    findings = connecting.connect(
        pasted, vault=vault, stores=desk.stores, examiner=desk.examiner, operator=who
    )
    if observed and findings.is_good:
        set_observed(connect_acts(), pasted.site_id, is_on=True, operator=who)
    return findings


def _refuse(pasted: Pasted) -> None:
    fail(
        *pasted.problems,
        "Nothing was saved.",
        reason="malformed",
        sentence="; ".join(pasted.problems),
        cleaned=list(pasted.cleaned),
        warnings=list(pasted.warnings),
        checks=[],
    )


def _result(findings: Findings, site_id: str) -> str:
    if not findings.is_good:
        return "Nothing was saved."
    return f"Connected: {findings.name or site_id} ({findings.currency}, {findings.time_zone})."


@stores.command("list", epilog="Example: refunds stores list --json")
@explain_errors
@in_each_cell
def list_stores(as_json: AsJson = False) -> None:
    """List the stores and their state.

    With the refunds that wait and that are in flight, the last success and the last error.
    """
    desk = open_desk()
    rows = [desk.stores.find(store_id).public() for store_id in desk.all_ids()]
    if as_json:
        print_json({"stores": rows})
        return
    for row in rows:
        row["last_success"] = moment(row["last_success_at_ms"]) if row["last_success_at_ms"] else ""
        error = row["suspended_because"] or row["last_error"] or {}
        row["state"] = store_state(row["state"])
        row["state"] += " (paused)" if row["paused"] else ""
        row["state"] += " (observed)" if row["observed_up_to_ms"] else ""
        row["last_error"] = error.get("detail") or error.get("error") or error.get("reason", "")
    columns = ("store_id", "name", "state", "waiting", "in_flight", "last_success", "last_error")
    print_table(rows, columns, empty="No stores; to connect one: refunds stores connect")


@stores.command("resume", epilog="Example: refunds stores resume SITE_ID")
@explain_errors
@of_store
def resume(
    store_id: StoreId, by: By = "", reason: OptionalWhy = "", as_json: AsJson = False
) -> None:
    """Resume a store that is suspended, or that was paused.

    Its refunds continue in order of arrival.
    """
    desk = open_desk()
    store = named(store_id).lower()
    who = operator(by, reason)
    if not pausing.resume(connect_acts(), desk.stores, store, operator=who):
        no_such = f"there is no store {store}; `refunds stores list` shows all stores"
        text = f"{store} is neither suspended nor paused" if desk.knows(store) else no_such
        fail(text, store_id=store)
    if as_json:
        print_json({"ok": True, "store_id": store})
    say(f"{store} resumed")


@stores.command("pause", epilog='Example: refunds stores pause SITE_ID --reason "fraud?"')
@explain_errors
@home_of_store
def pause(store_id: StoreId, by: By = "", reason: Why = "", as_json: AsJson = False) -> None:
    """Let the refunds of a store wait. Jobs are still accepted, and running steps finish.

    Nothing is lost, and no attempt is spent. `refunds stores resume` ends it.
    """
    desk, store = open_desk(), named(store_id).lower()
    if not desk.knows(store):
        fail(f"there is no store {store}; `refunds stores list` shows all stores", store_id=store)
    who, acts = operator(by, reason, needs_reason=True), connect_acts()
    try:
        pausing.pause(acts, store, operator=who)
    except CannotAct as refusal:
        fail(f"{store} {refusal}", store_id=store)
    if as_json:
        print_json({"ok": True, "store_id": store})
    say(f"{store} paused")


@stores.command("disconnect", epilog="Example: refunds stores disconnect SITE_ID --force")
@explain_errors
@of_store
def disconnect(
    store_id: StoreId,
    force: Annotated[
        bool, typer.Option("--force", help="Turn unfinished refunds into dead letters.")
    ] = False,
    by: By = "",
    reason: OptionalWhy = "",
    as_json: AsJson = False,
) -> None:
    """Delete a store and its API key.

    Refuses while refunds of the store are unfinished, unless --force is given.
    """
    desk = open_desk()
    store = named(store_id).lower()
    try:
        buried, left = connecting.disconnect(
            store,
            keyring=desk.keyring,
            ledger=desk.ledger,
            stores=desk.stores,
            force=force,
            operator=operator(by, reason),
        )
    except connecting.CannotDo as refusal:
        fail(str(refusal), store_id=store, sentence=str(refusal))
    if as_json:
        print_json({"ok": True, "store_id": store, "dead_letters": buried, "with_worker": left})
    say(f"disconnected; {buried} refunds became dead letters")
    if left:
        say(f"{left} are running in a worker right now; they finish or become dead letters there")
