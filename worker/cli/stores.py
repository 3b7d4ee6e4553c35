"""`refunds stores`: connect stores, check and resume them, and disconnect them."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from config.loading import SettingsError
from worker.app import keyring_from, ledger_from, stores_from, wix_from
from worker.cli.common import AsJson, close_at_end, explain_errors, fail, named, settings, user_name
from worker.cli.output import if_encodable, moment, print_json, print_line, print_table, say
from worker.cli.store_input import from_options, from_stdin
from worker.ledger.refunds import Ledger
from worker.ledger.stores import Stores
from worker.stores import connecting
from worker.stores.checklist import Findings
from worker.stores.examiner import Examiner
from worker.stores.keyring import Keyring
from worker.stores.pasted import Pasted
from worker.stores.vault import Vault, new_key

stores = typer.Typer(
    no_args_is_help=True,
    help="Stores: connect, list, check, resume, disconnect, keys.",
    epilog="Example: refunds stores check --all",
)

MARKS = {"ok": "✓", "missing": "✗", "unknown": "?"}

StoreId = Annotated[str, typer.Argument(metavar="SITE_ID")]
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


@dataclass(frozen=True)
class _Desk:
    """What the commands work with."""

    keyring: Keyring
    ledger: Ledger
    stores: Stores
    examiner: Examiner

    @property
    def vault(self) -> Vault:
        if self.keyring.vault is None:
            raise SettingsError(
                "REFUNDS_VAULT_KEYS is not set, so API keys cannot be encrypted;"
                " make a vault key with: refunds stores keygen"
            )
        return self.keyring.vault

    def all_ids(self) -> list[str]:
        """The stores of the vault, then those of REFUNDS_STORES."""
        return list(dict.fromkeys([*self.stores.ids(), *self.keyring.given]))


def _open() -> _Desk:
    given = settings()
    broker, ledger = ledger_from(given)
    wix, pause = wix_from(given), threading.Event()
    close_at_end(broker.client.close)
    close_at_end(wix.close)
    return _Desk(
        keyring_from(given),
        ledger,
        stores_from(given, broker),
        Examiner(wix=wix, progress=say, pause=pause.wait),
    )


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
    as_json: AsJson = False,
) -> None:
    """Check a store's API key with Wix and save it encrypted.

    Prompts for missing values; the key is not echoed.
    """
    desk = _open()
    vault = desk.vault
    pasted = from_stdin() if stdin else from_options(site, account, api_key_file)
    for note in (*pasted.cleaned, *pasted.warnings):
        say(note)
    if pasted.problems:
        _refuse(pasted)
    if pasted.site_id in desk.keyring.given:
        say("This store is in REFUNDS_STORES as well; from now on the vault's key is used.")
    findings = connecting.connect(pasted, vault=vault, stores=desk.stores, examiner=desk.examiner)
    if as_json:
        notes = {"cleaned": list(pasted.cleaned), "warnings": list(pasted.warnings)}
        print_json({"store_id": pasted.site_id, **findings.public(), **notes})
    else:
        _print_checks(findings)
        say(_result(findings, pasted.site_id))
    if not findings.is_good:
        raise typer.Exit(1)


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


def _print_checks(findings: Findings) -> None:
    rows = [
        {
            "": if_encodable(MARKS[check.result], check.result),
            "box": check.box,
            "for": check.about,
            "result": check.text,
        }
        for check in findings.checks
    ]
    print_table(rows, ("", "box", "for", "result"))
    say(findings.public()["sentence"])


@stores.command("list", epilog="Example: refunds stores list --json")
@explain_errors
def list_stores(as_json: AsJson = False) -> None:
    """List the stores and their state.

    With the refunds that wait and that are in flight, the last success and the last error.
    """
    desk = _open()
    rows = [desk.stores.find(store_id).public() for store_id in desk.all_ids()]
    if as_json:
        print_json({"stores": rows})
        return
    for row in rows:
        row["last_success"] = moment(row["last_success_at_ms"]) if row["last_success_at_ms"] else ""
        error = row["suspended_because"] or row["last_error"] or {}
        row["last_error"] = error.get("detail") or error.get("error") or error.get("reason", "")
    columns = ("store_id", "name", "state", "waiting", "in_flight", "last_success", "last_error")
    print_table(rows, columns, empty="No stores; to connect one: refunds stores connect")


@stores.command("check", epilog="Example: refunds stores check --all")
@explain_errors
def check(
    store_id: Annotated[str, typer.Argument(metavar="[SITE_ID]")] = "",
    every: Annotated[bool, typer.Option("--all", help="Check every store.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check the API keys of stores with Wix.

    The exit code is 1 if a permission is missing or could not be checked. Resumes no store.
    """
    if bool(store_id) == every:
        fail("give either one SITE_ID or --all", code=2)
    desk = _open()
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


def _checked(desk: _Desk, store_id: str, *, as_json: bool) -> dict[str, Any]:
    try:
        findings = connecting.check(
            store_id, keyring=desk.keyring, stores=desk.stores, examiner=desk.examiner
        )
    except connecting.CannotDo as refusal:
        say(str(refusal))
        return {"store_id": store_id, "ok": False, "reason": "no_key", "sentence": str(refusal)}
    if not as_json:
        _print_checks(findings)
    if findings.is_good and desk.stores.find(store_id).state == "suspended":
        say(f"The store is still suspended; to resume it: refunds stores resume {store_id}")
    return {"store_id": store_id, **findings.public()}


@stores.command("resume", epilog="Example: refunds stores resume SITE_ID")
@explain_errors
def resume(store_id: StoreId, as_json: AsJson = False) -> None:
    """Resume a suspended store.

    Its refunds continue in order of arrival.
    """
    desk = _open()
    store = named(store_id).lower()
    if not desk.stores.resume(store, by=user_name()):
        is_known = desk.stores.find(store).sealed or store in desk.keyring.given
        no_such = f"there is no store {store}; `refunds stores list` shows all stores"
        fail(f"{store} is not suspended" if is_known else no_such, store_id=store)
    if as_json:
        print_json({"ok": True, "store_id": store})
    say(f"{store} resumed")


@stores.command("disconnect", epilog="Example: refunds stores disconnect SITE_ID --force")
@explain_errors
def disconnect(
    store_id: StoreId,
    force: Annotated[
        bool, typer.Option("--force", help="Turn unfinished refunds into dead letters.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a store and its API key.

    Refuses while refunds of the store are unfinished, unless --force is given.
    """
    desk = _open()
    store = named(store_id).lower()
    try:
        buried, left = connecting.disconnect(
            store,
            keyring=desk.keyring,
            ledger=desk.ledger,
            stores=desk.stores,
            force=force,
        )
    except connecting.CannotDo as refusal:
        fail(str(refusal), store_id=store, sentence=str(refusal))
    if as_json:
        print_json({"ok": True, "store_id": store, "dead_letters": buried, "with_worker": left})
    say(f"disconnected; {buried} refunds became dead letters")
    if left:
        say(f"{left} are running in a worker right now; they finish or become dead letters there")


@stores.command("keygen", epilog='Example: export REFUNDS_VAULT_KEYS="$(refunds stores keygen)"')
@explain_errors
def keygen(as_json: AsJson = False) -> None:
    """Make a vault key for REFUNDS_VAULT_KEYS.

    Store it like a password: saved API keys cannot be decrypted without it.
    """
    key = new_key()
    print_line(json.dumps({"vault_key": key}) if as_json else key)


@stores.command("reseal", epilog="Example: refunds stores reseal")
@explain_errors
def reseal(as_json: AsJson = False) -> None:
    """Encrypt all API keys with a new vault key.

    That is the first key in REFUNDS_VAULT_KEYS; the others can be removed afterwards.
    """
    desk = _open()
    results = connecting.reseal(vault=desk.vault, stores=desk.stores, progress=say)
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
