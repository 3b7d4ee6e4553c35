"""Carries out a Containerfile in directories, without a container engine.

It needs root, debootstrap and a mirror of Debian. What it mounts is gone with the process.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: The base images that are known, and their suites of Debian.
SUITES = {"debian:13-slim": "trixie"}
#: How long one step may take, on a busy machine and a slow line.
STEP_S = 900
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_MOUNT = """
set -e
mount --bind "$0" "$0"
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
mount -t tmpfs tmpfs "$0/tmp"
cp {certificates} "$0/tmp/certificates.pem"
{more}
set -- --userspec={user} "$0" /usr/bin/env -i {environment}
exec chroot "$@" /bin/sh -c 'cd {directory} && {command}'
"""


@dataclass
class Stage:
    """A stage: what it starts from, and its steps in order."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Image:
    """A directory, and how programs run in it."""

    root: Path
    environment: dict[str, str]
    directory: str = "/"
    user: str = "0:0"
    command: Sequence[str] = ()

    def shell(self, command: str, *, more: str = "", **environment: str) -> list[str]:
        """Return the command that runs a line of shell in it; *more* is run before, outside."""
        given = {**self.environment, **environment}
        script = _MOUNT.format(
            certificates=_CERTIFICATES,
            more=more,
            user=self.user,
            environment=" ".join(shlex.quote(f"{name}={value}") for name, value in given.items()),
            directory=self.directory,
            command=command.replace("'", "'\\''"),
        )
        return ["unshare", "--mount", "/bin/sh", "-c", script, str(self.root)]


def parse(text: str) -> list[Stage]:
    """Return the stages of a Containerfile."""
    stages: list[Stage] = []
    lines = "\n".join(line for line in text.split("\n") if not line.startswith("#"))
    for line in re.sub(r"\\\n\s*", "", lines).split("\n"):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base, name))
        elif word:
            stages[-1].steps.append((word, rest))
    return stages


def why_not() -> str:
    """Return why the image is not built, "" if it is."""
    if not os.environ.get("REFUNDS_TEST_IMAGE"):
        return "building the image takes some minutes: run `make image`"
    if os.getuid() != 0:
        return "only root can change the root directory"
    if missing := [tool for tool in ("debootstrap", "unshare", "chroot") if not shutil.which(tool)]:
        return f"{', '.join(missing)} not installed"
    return "" if mirror() else "apt names no mirror of Debian"


def mirror() -> str:
    """Return the mirror of Debian that this machine uses, "" if there is none."""
    files = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    text = "\n".join(path.read_text() for path in files if path.is_file())
    found: list[str] = re.findall(
        r"(?:URIs:|^deb(?: \[.*?\])?) *(http\S+/debian)/?(?:\s|$)", text, re.MULTILINE
    )
    return found[0] if found else ""


def build(text: str, context: Path, place: Path) -> Image:
    """Carry out all steps; returns the last stage.

    Raises:
        subprocess.CalledProcessError: a step has failed; the error has its output.
    """
    done: dict[str, Image] = {}
    for number, stage in enumerate(parse(text)):
        base = place / "base"
        if not base.exists():
            suite = SUITES[stage.base]
            _run("debootstrap", "--variant=minbase", suite, str(base), mirror())
        root = place / f"stage-{number}"
        _run("cp", "--archive", "--reflink=auto", str(base), str(root))
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        image = Image(
            root, {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        )
        for word, rest in stage.steps:
            _step(image, word, rest, context, done)
        done[stage.name] = image
    return image


def _step(image: Image, word: str, rest: str, context: Path, done: Mapping[str, Image]) -> None:
    if word == "RUN":
        _run(*image.shell(rest, **_for_pip()))
    elif word == "COPY":
        _copy(image, rest, context, done)
    elif word == "ENV":
        image.environment |= dict(each.split("=", 1) for each in shlex.split(rest))
    elif word == "WORKDIR":
        image.directory = rest
        (image.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
    elif word == "USER":
        image.user = rest
    elif word == "CMD":
        image.command = [part.strip(' "') for part in rest.strip("[]").split(",")]
    elif word != "STOPSIGNAL":
        raise ValueError(f"{word} is not known")


def _copy(image: Image, rest: str, context: Path, done: Mapping[str, Image]) -> None:
    *options, source, target = rest.split()
    place = image.root / target.lstrip("/")
    if options:
        shutil.copytree(
            done[options[0].removeprefix("--from=")].root / source.lstrip("/"), place, symlinks=True
        )
        return
    found = list(context.glob(source))
    if not found:
        raise ValueError(f"{source} is not there to be copied")
    for path in found:
        shutil.copy(path, place)


def _for_pip() -> dict[str, str]:
    """Return how this machine reaches its package index."""
    taken = {name: value for name, value in os.environ.items() if name.lower() in _WAYS}
    return {**taken, "PIP_CERT": "/tmp/certificates.pem", "DEBIAN_FRONTEND": "noninteractive"}  # noqa: S108 - in the image


_WAYS = {"pip_index_url", "http_proxy", "https_proxy", "no_proxy"}


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=STEP_S)


def lines_of(text: str, word: str) -> Iterator[str]:
    """Yield what follows *word* in all stages."""
    return (rest for stage in parse(text) for found, rest in stage.steps if found == word)
