"""Runs `refunds console` as a program, and uses it as a browser does, over real HTTP."""

from __future__ import annotations

import html
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from tests.support.http_program import http_program
from tests.support.processes import (
    PATIENCE_S,
)
from tests.support.rig import KEY, STORE_ID, Rig, settings_for
from worker.serving.tokens import hash_of
from worker.simulator import Simulator
from worker.simulator.http.server import serve

#: The tokens of one user for each role.
VIEW, ACT, APPROVE = "rfd_canary-of-a-viewer", "rfd_canary-of-an-agent", "rfd_canary-of-an-approver"
USERS = {
    "vic": {"role": "view", "sha256": [hash_of(VIEW)]},
    "ann": {"role": "act", "sha256": [hash_of("rfd_the-old-token"), hash_of(ACT)]},
    "pat": {"role": "approve", "sha256": [hash_of(APPROVE)], "login": "pat@support.example"},
}
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')


@dataclass
class ConsoleProgram:
    """A running console, and where its output goes."""

    url: str
    process: subprocess.Popen[str]
    log: Path

    def browser(self, token: str = "", **more: Any) -> Browser:
        """Return a browser; with a token somebody is signed in."""
        browser = Browser(httpx.Client(base_url=self.url, timeout=PATIENCE_S, **more))
        if token:
            answer = browser.sign_in(token)
            assert (answer.status_code, answer.headers["location"]) == (303, "/")
        return browser


class Browser:
    """Keeps cookies, sends forms with the proof of the page before, and does not run scripts.

    Its cookies go over connections without TLS, too: in the tests no proxy ends it.
    """

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.cookies: dict[str, str] = {}
        self.csrf = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def send(self, method: str, address: str, **more: Any) -> httpx.Response:
        """Send a request with the cookies, and keep what the answer sets."""
        self.client.cookies.clear()
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": cookie, **more.pop("headers", {})}
        answer = self.client.request(method, address, headers=headers, **more)
        for set_ in answer.headers.get_list("set-cookie"):
            name, _, value = set_.partition(";")[0].partition("=")
            self.cookies[name] = value.strip('"')
        if found := _CSRF.search(answer.text):
            self.csrf = html.unescape(found[1])
        return answer

    def get(self, address: str, **more: Any) -> httpx.Response:
        """Load a page."""
        return self.send("GET", address, **more)

    def post(
        self, address: str, fields: Mapping[str, Any] | None = None, **more: Any
    ) -> httpx.Response:
        """Send a form of the page that was loaded last."""
        return self.send("POST", address, data={"csrf": self.csrf, **(fields or {})}, **more)

    def act(self, address: str, fields: Mapping[str, Any] | None = None) -> str:
        """Send a form, and return the text of the page that it leads to."""
        answer = self.post(address, fields)
        assert answer.status_code == 303, text_of(answer)
        return text_of(self.get(answer.headers["location"]))

    def sign_in(self, token: str, after: str = "/") -> httpx.Response:
        """Sign in."""
        self.get("/sign-in")
        answer = self.post("/sign-in", {"token": token, "next": after})
        if answer.status_code == 303:
            self.get("/")
        return answer

    def text(self, address: str) -> str:
        """Return the text of a page."""
        answer = self.get(address)
        assert answer.status_code == 200, answer.status_code
        return text_of(answer)


def text_of(answer: httpx.Response) -> str:
    """Return what a page says, without its elements."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


def cookie(browser: Browser) -> dict[str, str]:
    """Return the header with the session of a browser."""
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}


def marks(answer: httpx.Response) -> Iterator[str]:
    """Yield the mark of each change."""
    return (line[6:] for line in answer.iter_lines() if line.startswith("data: "))


@contextmanager
def console_program(
    redis_url: str, namespace: str, *arguments: str, **more: str
) -> Iterator[ConsoleProgram]:
    """Run the console on a free port."""
    settings = {"REFUNDS_CONSOLE_TOKENS": json.dumps(USERS), **more}
    with http_program(redis_url, namespace, "console", *arguments, settings=settings) as program:
        yield ConsoleProgram(*program)


@contextmanager
def console_scene(redis_url: str, **more: str) -> Iterator[tuple[Rig, ConsoleProgram]]:
    """A worker that the test drives, and a console beside it that asks the same Wix.

    *more* are settings of both.
    """
    simulator = Simulator()
    rig = Rig(settings_for(redis_url, **more), simulator)
    given = {f"REFUNDS_{name.upper()}": text for name, text in more.items()}
    account_id = simulator.stores[STORE_ID].account_id
    given["REFUNDS_STORES"] = json.dumps({STORE_ID: {"account_id": account_id, "api_key": KEY}})
    with serve(simulator) as wix_url:
        given["REFUNDS_WIX_BASE_URL"] = wix_url
        with console_program(redis_url, rig.settings.namespace, **given) as running:
            yield rig, running
    rig.close()
