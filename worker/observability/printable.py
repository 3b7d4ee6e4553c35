"""Text for people: characters that a terminal obeys, or that cannot be seen, are escaped.

Ids, names and messages come from outside. Unescaped, they could clear the screen (ESC, C1), write
to the clipboard (OSC), reorder a line (bidirectional controls) or make two ids look alike.
"""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    r"""Return *text* on one line, with an escape like `\x1b` for each character that is not shown.

    These are controls, line ends, format characters, and code points without a character.
    """
    if text.isprintable():
        return text
    return "".join(char if _is_shown(char) else _escaped(char) for char in text)


def printable_json(text: str) -> str:
    r"""Return a JSON document with the same content, in which each such character is `\uXXXX`."""
    if text.isprintable():
        return text
    return "".join(char if char == "\n" or _is_shown(char) else in_json(char) for char in text)


def in_json(char: str) -> str:
    """Return JSON's escape of one character: UTF-16, in hexadecimal digits."""
    code = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{code[at : at + 4]}" for at in range(0, len(code), 4))


def _is_shown(char: str) -> bool:
    return char.isprintable() or unicodedata.category(char) == "Zs"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()
