"""The programs of a run: workers, the API, producers and consumers; all are killed at its end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.producers.plan import PRODUCERS, Item
from tests.producers.send import WRONG_KEY
from tests.support.npm import install
from tests.support.processes import REFUNDS, WORKER, announced, environment_without_settings

HERE = Path(__file__).parent
INTEROP = HERE.parent / "interop"
KEY = "a-key-for-tests-only-0123456789abcdef"


def cannot(producer: str) -> str:
    """Say why a producer cannot run on this machine, "" if it can."""
    needs = {"node": ("node", "npm"), "shell": ("openssl",)}.get(producer, ())
    missing = [name for name in needs if not shutil.which(name)]
    if producer == "shell" and not (shutil.which("redis-cli") or shutil.which("valkey-cli")):
        missing.append("redis-cli")
    if missing:
        return f"{', '.join(missing)} is not installed"
    return install(INTEROP) if producer == "node" else ""


class Programs:
    """Starts programs that share an environment, and ends them."""

    def __init__(self, place: Path, environment: Mapping[str, str]) -> None:
        self._place = place
        self._environment = environment_without_settings() | dict(environment)
        # Else this machine would remember the ledger of the run.
        self._environment["REFUNDS_STATE_DIR"] = str(place)
        self._running: dict[str, subprocess.Popen[str]] = {}

    def start(self, name: str, command: Sequence[str], *, shows: bool = False) -> None:
        """Start a program; its errors go to a file, and so does its output unless it *shows* it."""
        with (
            (self._place / f"{name}.log").open("a") as log,
            (self._place / f"{name}.out").open("a") as out,
        ):
            self._running[name] = subprocess.Popen(
                command,
                env=self._environment,
                cwd=HERE.parents[1],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if shows else out,
                stderr=log,
                text=True,
            )

    def start_workers(self, count: int) -> None:
        """Start so many workers."""
        for number in range(count):
            self.start(f"worker-{number}", WORKER)

    def start_api(self) -> str:
        """Start the API; returns its address."""
        self.start("api", [*REFUNDS, "api", "--port", "0", "--json"], shows=True)
        printed = announced(self._running["api"], self._place / "api.log")
        self._environment["API_URL"] = str(printed["url"])
        return self._environment["API_URL"]

    def start_consumer(self, name: str) -> None:
        """Start a consumer, for the first time or again."""
        path = str(self.events_of(name))
        self.start(name, [sys.executable, "-m", "tests.producers.consume", name, path])

    def events_of(self, consumer: str) -> Path:
        """Return the file in which a consumer writes what it got."""
        return self._place / f"{consumer}.events"

    def start_producer(self, name: str, items: Sequence[Item]) -> None:
        """Let a producer send its items."""
        path = self._place / f"{name}.items"
        path.write_text("".join(_line(name, item) + "\n" for item in items))
        commands: Mapping[str, Sequence[str]] = {
            "node": ("node", str(INTEROP / "send_many.mjs")),
            "shell": (str(HERE / "send_many.sh"),),
        }
        python = (sys.executable, "-m", "tests.producers.send", name)
        self._environment |= {"KEY": KEY, "WRONG_KEY": WRONG_KEY}
        self.start(name, [*commands.get(name, python), str(path)])

    def pid(self, name: str) -> int:
        """Return the process id of a program."""
        return self._running[name].pid

    def is_running(self, name: str) -> bool:
        """Whether the program has not ended.

        Raises:
            RuntimeError: it has failed.
        """
        code = self._running[name].poll()
        if code:
            raise RuntimeError(f"{name} has failed: {(self._place / f'{name}.log').read_text()}")
        return code is None

    def kill(self, name: str) -> None:
        """Kill a program at once and without warning."""
        self._running[name].kill()
        self._running[name].wait()

    def end(self) -> None:
        """Kill all."""
        for program in self._running.values():
            program.kill()
        for program in self._running.values():
            program.communicate()

    def answers(self) -> dict[int, str]:
        """Return what the producers were told, by the number of the item."""
        found = {}
        for name in PRODUCERS:
            path = self._place / f"{name}.out"
            for line in path.read_text().splitlines() if path.exists() else ():
                number, _, answer = line.partition("\t")
                found[int(number)] = answer
        return found


def _line(producer: str, item: Item) -> str:
    """Return an item as its producer reads it."""
    if producer != "shell":
        names = ("number", "kind", "refund_id", "job", "message")
        return json.dumps({name: getattr(item, name) for name in names})
    if item.message:
        return f"{item.number}\tmessage\t{item.message}"
    fields = ("refund_id", "store_id", "order_id", "reason")
    sign = "-" if item.kind == "badly signed" else ""
    return "\t".join([f"{sign}{item.number}", *(str(item.job[name]) for name in fields)])


def settings(
    redis_url: str,
    wix_url: str,
    stores: Sequence[str],
    hook: Mapping[str, object],
    tokens: Mapping[str, object],
) -> dict[str, str]:
    """Return the settings of workers and API."""
    entry = {"account_id": "a", "api_key": "IST.simulator"}
    keys = {name: {"keys": [KEY], "allow": ["*"]} for name in PRODUCERS if name != "http"}
    return {
        "REFUNDS_REDIS_URL": redis_url,
        "REFUNDS_WIX_BASE_URL": wix_url,
        "REFUNDS_WIX_ALLOW_HTTP": "true",
        "REFUNDS_NAMESPACE": "upstream",
        "REFUNDS_STORES": json.dumps(dict.fromkeys(stores, entry)),
        "REFUNDS_PRODUCER_KEYS": json.dumps(keys),
        "REFUNDS_WEBHOOKS": json.dumps({"shop": hook}),
        "REFUNDS_API_TOKENS": json.dumps({"http": tokens}),
        "REFUNDS_STORE_CALLS_PER_MIN": "0",
        "REFUNDS_THREADS": "8",
        "REFUNDS_LANE_WIDTH": "8",
        "REFUNDS_WATCH_FOR_S": "0",
        "REFUNDS_LOG_LEVEL": "error",
        "PATH": os.environ["PATH"],
    }
