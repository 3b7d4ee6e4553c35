"""Addresses of Redis: one server, Sentinel, or a Redis Cluster.

    redis://USER:PASSWORD@HOST:PORT/DATABASE           rediss:// for TLS
    unix://USER:PASSWORD@/PATH?db=DATABASE
    redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/SERVICE/DATABASE
                     ?sentinel_username=...&sentinel_password=...
    redis+cluster://USER:PASSWORD@HOST:PORT,HOST:PORT  rediss+... for TLS

Options of redis-py may follow, such as `ssl_ca_certs`, `ssl_certfile` and `ssl_keyfile`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

#: The port of a server, and that of a Sentinel.
PORTS = {"": 6379, "sentinel": 26379, "cluster": 6379}
SCHEMES = frozenset(
    {"redis", "rediss", "unix"}
    | {f"{scheme}+{kind}" for scheme in ("redis", "rediss") for kind in ("sentinel", "cluster")}
)
FORMATS = (
    "expected redis://HOST:PORT/DATABASE, rediss:// for TLS, unix:///PATH?db=DATABASE,"
    " redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DATABASE or redis+cluster://HOST:PORT,HOST:PORT;"
    " write special characters in a password as %XX"
)


class Address(NamedTuple):
    """A parsed address."""

    url: str
    """The address of a single server, as redis-py reads it; of several nodes, the first one's."""
    kind: str = ""
    """"", "sentinel" or "cluster"."""
    nodes: tuple[tuple[str, int], ...] = ()
    """Host and port of each Sentinel, or of some nodes of the cluster."""
    service: str = ""
    """The name under which the Sentinels know the primary."""
    sentinel_login: Mapping[str, str] = MappingProxyType({})
    """User name and password of the Sentinels themselves."""


def parse_address(url: str) -> Address:
    """Parse an address, without asking any server.

    Raises:
        ValueError: it is none of the formats above. The text does not repeat it: it may hold a
            password.
    """
    scheme, separator, rest = url.strip().partition("://")
    if not separator or scheme not in SCHEMES or "#" in rest:
        raise ValueError(FORMATS)
    base, _, kind = scheme.partition("+")
    if not kind:
        _check_server(f"{base}://{rest}")
        return Address(f"{base}://{rest}")
    place, _, query = rest.partition("?")
    authority, _, path = place.partition("/")
    login, at, hosts = authority.rpartition("@")
    nodes = tuple(_node(host, PORTS[kind]) for host in hosts.split(","))
    service, _, database = path.rstrip("/").partition("/") if kind == "sentinel" else ("", "", path)
    if kind == "sentinel" and not service:
        raise ValueError(f"the name of the service is missing; {FORMATS}")
    if kind == "cluster" and database.strip("/") not in {"", "0"}:
        raise ValueError(f"a Redis Cluster has only database 0; {FORMATS}")
    options, sentinel_login = _split(query)
    host, port = nodes[0]
    shown = f"[{host}]" if ":" in host else host
    server = f"{base}://{login}{at}{shown}:{port}/{database}{options}"
    _check_server(server)
    return Address(server, kind, nodes, unquote(service), sentinel_login)


def _node(text: str, default_port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"redis://{text}")
        port = parts.port
    except ValueError:
        raise _bad_port() from None
    if not parts.hostname or "@" in text:
        raise ValueError(FORMATS)
    if port == 0:
        raise _bad_port()
    return parts.hostname, port or default_port


def _bad_port() -> ValueError:
    return ValueError(f"the port must be a number from 1 to 65535; {FORMATS}")


def _split(query: str) -> tuple[str, dict[str, str]]:
    """Return the options of the servers, as a query, and the login of the Sentinels."""
    options, login = [], {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in {"sentinel_username", "sentinel_password"}:
            login[name.replace("sentinel_", "", 1)] = value
        else:
            options.append((name, value))
    return (f"?{urlencode(options)}" if options else ""), login


def _check_server(url: str) -> None:
    """Check what redis-py ignores or notices only when it connects."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _bad_port() from None
    if parts.fragment or port == 0:
        raise ValueError(FORMATS)
    if parts.scheme == "unix":
        if not parts.path.strip("/"):
            raise ValueError(f"the path of the socket is missing; {FORMATS}")
        return
    number = parts.path.strip("/")
    # redis-py silently uses database 0 for anything that is not a number.
    if number and not (number.isascii() and number.isdigit()):
        raise ValueError(f"the database must be a number; {FORMATS}")
