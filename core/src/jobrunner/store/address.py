"""Where the store is: a URL or the `REDIS_*` variables, read into one record.

It reads and checks text. It never connects, never touches a file, and never shows a password: not in an error,
not in the record's own text. Because a password that is not percent-encoded lands in the wrong part of a URL,
no error quotes the part between `://` and the path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias
from urllib.parse import quote

import msgspec

from jobrunner.errors import SettingsError
from jobrunner.masking import MASK
from jobrunner.store.address_text import (
    DEFAULT_PORT,
    ENCODE,
    CertReqs,
    ProblemError,
    bare_host,
    cert_reqs,
    database,
    decode,
    environment_port,
    flag,
    host_and_port,
    to_path,
    utf8,
)

Kind: TypeAlias = Literal["tcp", "unix", "sentinel", "cluster", "embedded"]

DEFAULT_SENTINEL_PORT = 26_379
DEFAULT_FOLDER = ".jobrunner"
"""The embedded store's folder where a URL names none; it lies in the current folder."""

_SCHEMES: dict[str, tuple[Kind, bool]] = {
    "redis": ("tcp", False),
    "rediss": ("tcp", True),
    "unix": ("unix", False),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
    "embedded": ("embedded", False),
}

_SSL_TEXTS = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
_SSL_OPTIONS = (*_SSL_TEXTS, "ssl_cert_reqs", "ssl_check_hostname")
_OPTIONS: dict[Kind, tuple[str, ...]] = {
    "tcp": ("db", "username", "password"),
    "unix": ("db", "username", "password"),
    "sentinel": ("db", "username", "password", "sentinel_username", "sentinel_password"),
    "cluster": ("username", "password"),
    "embedded": (),
}
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,30}", re.ASCII)
_MASTER = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where the store is and how to be let in; its text never has a password.

    Attributes:
        kind: One server by TCP, one by a Unix socket, Sentinels, a cluster, or the embedded server.
        hosts: Names or addresses with ports, IPv6 without brackets; empty for `unix` and `embedded`.
        db: The number of the database, 0 for a cluster.
        username: The ACL user, None for the default one.
        password: The user's password.
        tls: Speak TLS to the servers, and to the Sentinels.
        path: The Unix socket, or the embedded server's folder (relative to the current folder, or absolute).
        master: The name under which the Sentinels know the master.
        sentinel_username: The ACL user at the Sentinels themselves.
        sentinel_password: The password at the Sentinels themselves.
        ssl_ca_certs: A file of certificates to trust, None for the system's.
        ssl_ca_path: A folder of certificates to trust.
        ssl_certfile: Our own certificate.
        ssl_keyfile: The key of our own certificate.
        ssl_cert_reqs: What is asked of the server's certificate.
        ssl_check_hostname: Hold the certificate against the host's name; False where no certificate is asked for.
    """

    kind: Kind
    hosts: tuple[tuple[str, int], ...] = ()
    db: int = 0
    username: str | None = None
    password: str | None = None
    tls: bool = False
    path: str = ""
    master: str = ""
    sentinel_username: str | None = None
    sentinel_password: str | None = None
    ssl_ca_certs: str | None = None
    ssl_ca_path: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_cert_reqs: CertReqs = "required"
    ssl_check_hostname: bool = True

    def masked(self) -> str:
        """The address as a URL with `***` for each password: `redis://user:***@host:6379/0`."""
        if self.kind == "embedded":
            return f"embedded://{quote(self.path)}"
        scheme = next(name for name, (kind, tls) in _SCHEMES.items() if (kind, tls) == (self.kind, self.tls))
        user = quote(self.username or "", safe="")
        login = "" if self.username is None and self.password is None else f"{user}:{_stars(self.password)}@"
        hosts = ",".join(
            f"[{host.replace('%', '%25')}]:{port}" if ":" in host else f"{host}:{port}"
            for host, port in self.hosts
        )
        path = {
            "tcp": f"/{self.db}",
            "unix": quote(self.path),
            "sentinel": f"/{self.master}/{self.db}",
            "cluster": "",
        }[self.kind]
        query = "&".join(f"{name}={value}" for name, value in self._options())
        return f"{scheme}://{login}{hosts}{path}{'?' if query else ''}{query}"

    def _options(self) -> Iterator[tuple[str, str]]:
        if self.kind == "unix" and self.db:
            yield "db", str(self.db)
        if self.sentinel_username is not None:
            yield "sentinel_username", quote(self.sentinel_username, safe="")
        if self.sentinel_password is not None:
            yield "sentinel_password", _stars(self.sentinel_password)
        for name in _SSL_TEXTS:
            value = getattr(self, name)
            if value is not None:
                yield name, quote(value)
        if self.ssl_cert_reqs != "required":
            yield "ssl_cert_reqs", self.ssl_cert_reqs
        if not self.ssl_check_hostname and self.ssl_cert_reqs != "none":
            yield "ssl_check_hostname", "false"

    def __str__(self) -> str:
        return self.masked()

    def __repr__(self) -> str:
        return f"Address({self.masked()!r})"

    def __rich_repr__(
        self,
    ) -> list[tuple[str, object]]:  # a Struct's own would print every field at a terminal
        return [("url", self.masked())]


def from_environment(environ: Mapping[str, str]) -> Address:
    """Read the store's address from the environment.

    `REDIS_URL` wins over `REDIS_HOST` (localhost), `REDIS_PORT` (6379), `REDIS_USERNAME`, `REDIS_PASSWORD` and
    `REDIS_DB` (0), which are then not looked at. A variable that is empty counts as not set.

    Args:
        environ: The environment.

    Returns:
        The address; of kind `tcp` where `REDIS_URL` is not set.

    Raises:
        SettingsError: A variable has a value that cannot be used.
    """
    url = environ.get("REDIS_URL", "").strip()
    if url:
        return parse_url(url)
    variable = "REDIS_HOST"
    try:
        host = bare_host(environ.get(variable, "").strip() or "localhost")
        variable = "REDIS_PORT"
        port = environment_port(environ.get(variable, "").strip())
        variable = "REDIS_DB"
        db = database(environ.get(variable, "").strip())
        variable = "REDIS_USERNAME"
        username = utf8(environ.get(variable, "")) or None
        variable = "REDIS_PASSWORD"
        password = utf8(environ.get(variable, "")) or None
    except ProblemError as problem:
        raise SettingsError(variable, str(problem)) from None
    if username is not None and password is None:
        raise SettingsError("REDIS_USERNAME", "a user needs a password: set REDIS_PASSWORD too")
    return Address(kind="tcp", hosts=((host, port),), db=db, username=username, password=password)


def parse_url(url: str, *, variable: str = "REDIS_URL") -> Address:
    """Read an address from a URL.

    - `redis://[user:password@]host[:port][/db]`, with TLS `rediss://`
    - `unix://[user:password@]/path/of/socket[?db=0]`
    - `redis+sentinel://[user:password@]host[:port],host[:port]/master[/db]`, with TLS `rediss+sentinel://`
    - `redis+cluster://[user:password@]host[:port],host[:port]`, with TLS `rediss+cluster://`
    - `embedded:///absolute/folder`; without the third slash the folder is relative to the current one
      (`embedded://data/queue`), and a bare `embedded://` is `.jobrunner` in the current folder

    Users, passwords and paths are percent-decoded. After a `?`: `db`, `username`, `password`; with TLS
    `ssl_ca_certs`, `ssl_ca_path`, `ssl_certfile`, `ssl_keyfile`, `ssl_cert_reqs` (required, optional, none) and
    `ssl_check_hostname`; for Sentinels `sentinel_username` and `sentinel_password`.

    Args:
        url: The URL.
        variable: Where it came from, for the error.

    Raises:
        SettingsError: It cannot be used. The text never has a password.
    """
    try:
        return _parse(utf8(url.strip()))
    except ProblemError as problem:
        raise SettingsError(variable, str(problem)) from None


def _parse(url: str) -> Address:
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _SCHEMES:
        found = f"{scheme}:// is not known here: " if separator and _SCHEME.fullmatch(scheme) else ""
        raise ProblemError(f"{found}it must begin with {', '.join(f'{name}://' for name in _SCHEMES)}")
    if _CONTROL.search(rest):
        raise ProblemError("it has a space or a control character in it; percent-encode it, a space is %20")
    if "#" in rest:
        raise ProblemError(f"it has a # in it; {ENCODE}")
    kind, tls = _SCHEMES[scheme]
    rest, _, query = rest.partition("?")
    if kind == "embedded":
        _options(kind, query, tls=False)
        return Address(kind=kind, path=_folder(rest))
    authority, slash, path = rest.partition("/")
    if "@" in query or ("@" in path and kind != "unix"):
        raise ProblemError(f"an @ stands after the host; {ENCODE}")
    username, password, hosts = _login(authority)
    place = _place(kind, hosts, slash + path)
    options = _options(kind, query, tls=tls)
    return _address(kind, tls=tls, place=place, login=(username, password), options=options)


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a URL that says which servers, and what on them."""

    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    master: str = ""
    db: str = ""


def _place(kind: Kind, hosts: str, path: str) -> _Place:
    inner = path.removeprefix("/").removesuffix("/")
    match kind:
        case "unix":
            if hosts or not inner:
                raise ProblemError(
                    f"the socket's path must be absolute, as in unix:///run/valkey.sock; {ENCODE}"
                )
            return _Place(path=to_path(path))
        case "tcp":
            if "," in hosts:
                raise ProblemError("it names several hosts; those take redis+sentinel:// or redis+cluster://")
            return _Place(hosts=(host_and_port(hosts, DEFAULT_PORT, missing="localhost"),), db=inner)
        case "sentinel":
            master, _, db = inner.partition("/")
            if not _MASTER.fullmatch(master):
                raise ProblemError(
                    "it must name the master after the hosts, as in redis+sentinel://host:26379/mymaster/0"
                )
            return _Place(hosts=_hosts(hosts, DEFAULT_SENTINEL_PORT), master=master, db=db)
        case _:
            if inner not in ("", "0"):
                raise ProblemError("a cluster has database 0 only; leave out what follows the hosts")
            return _Place(hosts=_hosts(hosts, DEFAULT_PORT))


def _address(
    kind: Kind, *, tls: bool, place: _Place, login: tuple[str | None, str | None], options: dict[str, str]
) -> Address:
    username, password = login
    for name, value in (("username", username), ("password", password), ("db", place.db or None)):
        if value is not None and name in options:
            raise ProblemError(f"{name} is there twice: after the ? and before it; leave one out")
    username = username if username is not None else options.get("username") or None
    password = password if password is not None else options.get("password")
    if username is None:
        password = password or None
    if username is not None and password is None:
        raise ProblemError(
            "there is a user and no password; write user:password@, and for a password alone :password@"
        )
    required = cert_reqs(options.get("ssl_cert_reqs", "required"))
    check = flag(
        "ssl_check_hostname", options.get("ssl_check_hostname", "false" if required == "none" else "true")
    )
    if check and required == "none":
        raise ProblemError("ssl_check_hostname needs a certificate: leave out ssl_cert_reqs=none")
    return Address(
        kind=kind,
        hosts=place.hosts,
        db=database(options.get("db", place.db)),
        username=username,
        password=password,
        tls=tls,
        path=place.path,
        master=place.master,
        sentinel_username=options.get("sentinel_username"),
        sentinel_password=options.get("sentinel_password"),
        ssl_ca_certs=options.get("ssl_ca_certs"),
        ssl_ca_path=options.get("ssl_ca_path"),
        ssl_certfile=options.get("ssl_certfile"),
        ssl_keyfile=options.get("ssl_keyfile"),
        ssl_cert_reqs=required,
        ssl_check_hostname=check,
    )


def _login(authority: str) -> tuple[str | None, str | None, str]:
    """User, password, and what follows the `@`."""
    login, at, hosts = authority.rpartition("@")
    if not at:
        return None, None, authority
    user, colon, password = login.partition(":")
    return decode(user) or None, decode(password) if colon and (password or user) else None, hosts


def _hosts(text: str, default_port: int) -> tuple[tuple[str, int], ...]:
    return tuple(host_and_port(part, default_port) for part in text.split(","))


def _folder(text: str) -> str:
    folder = to_path(text) or DEFAULT_FOLDER
    if folder.startswith("~"):
        raise ProblemError(
            "~ is not replaced in a folder's name; write the whole path, as in embedded:///home/me/queue"
        )
    if not folder.strip("/"):
        raise ProblemError("the embedded store needs a folder of its own, as in embedded:///var/lib/queue")
    return folder


def _options(kind: Kind, query: str, *, tls: bool) -> dict[str, str]:
    allowed = _OPTIONS[kind] + (_SSL_OPTIONS if tls else ())
    found: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        name = decode(name)
        if name not in allowed:
            hint = f"; it can take {', '.join(allowed)}" if allowed else "; it takes none"
            needs = (
                "; it needs a scheme with TLS, such as rediss://"
                if name in _SSL_OPTIONS and not tls
                else hint
            )
            raise ProblemError(f"{name[:40]!a} after the ? is not an option of this URL{needs}")
        if name in found:
            raise ProblemError(f"{name} is there twice after the ?; leave one out")
        found[name] = to_path(value)
        if not found[name] and name in (*_SSL_OPTIONS, "db"):
            raise ProblemError(f"{name} after the ? is empty; give it a value or leave it out")
    return found


def _stars(password: str | None) -> str:
    return MASK if password is not None else ""
