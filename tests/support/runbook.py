"""The examples of the runbook: read, run, compared with what they print, and written again.

An example is what stands between `<!-- drill NAME -->` and `<!-- end -->` in
worker/operations/README.md: console blocks, in which each line that begins with `$ ` is a command
and the lines after it are what it prints. Of a long output the middle is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parents[2] / "worker" / "operations" / "README.md"

#: The id of a bulk act in the text, whatever it is when the example is run.
JOB_ID = "job-3f2a9c01d4e5"
#: Longer output is cut to its first and last lines.
MOST_LINES, FIRST_LINES, LAST_LINES = 26, 12, 6
CUT = "..."

_DRILL = re.compile(r"<!-- drill ([\w-]+) -->\n(.*?)<!-- end -->", re.DOTALL)
_BLOCK = re.compile(r"```console\n(.*?)```\n", re.DOTALL)
_FENCED = re.compile(r"```.*?```", re.DOTALL)
_SPAN = re.compile(r"`(refunds [^`]+)`")
_COMMENT = re.compile(r"\s{2,}# .*$")

#: What differs from run to run, and what stands for it in a comparison.
_VOLATILE = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)", "TIME"),
        (
            r"\b(?!4b296c48|67668940|0f5b7a1e)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f-]{17}",
            "ID",
        ),
        (r"\b(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{12,64}(\.\.\.)?", "HEX"),
        (r"127\.0\.0\.1(:\d+(/\d+)?)?", "HOST"),
        (r"[+-]?\b\d[\d,]*(\.\d+)? (ms|s|min|h|d)\b( \d+ (ms|s|min|h)\b)?", "SPAN"),
        (r"\b\d+(\.\d+)? ([kKMG]i?)?B\b", "SIZE"),
        (r"\bwithin [\d,]+", "within N"),
        (r"--after \d+", "--after N"),
        (r"\brf-\d{3}\b", "rf-N"),
        (r"process \d+", "process N"),
        (r"refunds request, \S+", "refunds request, NAME"),
        (r"[\w.-]+, process N", "HOST, process N"),
        (r"(Redis|Valkey|version|server) \d[\w.+]*", r"\1 VERSION"),
        (r"\b\d+\.\d+\.\d+(\.dev\w*)?(\+\w+)?\b", "VERSION"),
        (r"[ \t]+", " "),
        (r"-{2,}", "--"),
    )
)


@dataclass(frozen=True)
class Example:
    """A command of the runbook, and what it prints there."""

    command: str
    output: str


def examples() -> dict[str, list[Example]]:
    """Return the commands of each drill, in the order of the text."""
    return {
        name: [each for block in _BLOCK.findall(text) for each in _examples(block)]
        for name, text in _DRILL.findall(README.read_text())
    }


def commands() -> list[str]:
    """Return the commands outside of the drills: in blocks, in tables and in sentences."""
    text = _DRILL.sub("", README.read_text())
    lines = [each.command for block in _BLOCK.findall(text) for each in _examples(block)]
    spans = _SPAN.findall(_FENCED.sub("", text))
    return [each for each in dict.fromkeys([*lines, *spans]) if each.startswith("refunds ")]


def _examples(block: str) -> Iterator[Example]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, output = part.partition("\n")
        yield Example(_COMMENT.sub("", line), output)


def normalised(output: str) -> str:
    """Return an output without what differs from run to run."""
    for pattern, instead in _VOLATILE:
        output = pattern.sub(instead, output)
    return "\n".join(line.strip() for line in output.strip().splitlines())


def shown(output: str) -> str:
    """Return an output as the text shows it: without trailing blanks, and cut if it is long."""
    lines = [line.rstrip() for line in output.strip("\n").splitlines()]
    if len(lines) > MOST_LINES:
        lines = [*lines[:FIRST_LINES], CUT, *lines[-LAST_LINES:]]
    return "".join(f"{line}\n" for line in lines)


def write(name: str, run: Callable[[str], str]) -> None:
    """Run the commands of a drill, and write what they print into the text where it differs."""

    def new_block(block: re.Match[str]) -> str:
        parts = re.split(r"^\$ ", block[1], flags=re.MULTILINE)[1:]
        return "```console\n" + "".join(map(new_part, parts)) + "```\n"

    def new_part(part: str) -> str:
        line, _, before = part.partition("\n")
        now = shown(run(_COMMENT.sub("", line)))
        is_same = normalised(now) == normalised(before)
        return f"$ {line}\n" + (before if is_same else now)

    def new_drill(drill: re.Match[str]) -> str:
        if drill[1] != name:
            return drill[0]
        return f"<!-- drill {name} -->\n{_BLOCK.sub(new_block, drill[2])}<!-- end -->"

    README.write_text(_DRILL.sub(new_drill, README.read_text()))
