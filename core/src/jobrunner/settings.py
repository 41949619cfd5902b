"""Settings from environment variables: the core's own and each plugin's.

A plugin declares a Struct; its field `graph_url` is read from `JOBRUNNER_<PLUGIN>_GRAPH_URL`. A wrong value is
an error that names the variable, and never shows the value of a secret one.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar, get_args, get_origin
from urllib.parse import urlsplit

import msgspec

from jobrunner.allowed import branches, in_words
from jobrunner.errors import SettingsError
from jobrunner.masking import MASK, Secret, has_secrets, hide_in_repr, masked, secret_values
from jobrunner.names import check_prefix

S = TypeVar("S", bound=msgspec.Struct)


_USERINFO = re.compile(r"//[^/\s@]*:[^/\s]*@")
"""A user's name and password in an address, which nobody may have marked as a secret."""


class Service:
    """Marks a settings field that holds an outside service's address: `Annotated[str, Service("graph")]`.

    The sandbox stands in for the services that are marked so.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Service) and other.name == self.name

    def __hash__(self) -> int:
        return hash((Service, self.name))

    def __repr__(self) -> str:
        return f"Service({self.name!r})"


WebAddress = msgspec.Meta(
    pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
    description="a web address, http:// or https://, without a user, a query or a fragment",
)
"""For a settings field that holds the address of a web service, `Annotated[str, Service("graph"), WebAddress]`: a host, perhaps
a port and a path. It takes no user, no password, no query and no fragment."""


def check_port(field: str, url: str) -> None:
    """Check the port of an address, for a settings Struct's `__post_init__`; an address without one is fine.

    Args:
        field: The settings field, for the message.
        url: The address.

    Raises:
        ValueError: The port is none, or the host cannot be read.
    """
    try:
        port = urlsplit(url).port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f"{field}: the port is 1 to 65535")


LogFormat = Literal["auto", "json", "console", "ecs", "otel"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The core's own settings.

    Attributes:
        plugins: Names of the plugins to load, or None for all that are installed. `JOBRUNNER_PLUGINS`.
        prefix: What every Redis key begins with. `JOBRUNNER_PREFIX`.
        grace: Seconds that running jobs get at shutdown, 0 to 86,400. `JOBRUNNER_GRACE`.
        log_level: The least severe level that is written. `JOBRUNNER_LOG_LEVEL`.
        log_format: `json`, `console`, `auto`: console at a terminal, else json; `ecs`: Elastic Common Schema; `otel`:
            OTLP as JSON. `JOBRUNNER_LOG_FORMAT`.
        log_sample: The share of jobs whose routine lines are written (enqueued, started, completed, and what their
            handlers say below warning), 0 to 1. Warnings and errors are always written. `JOBRUNNER_LOG_SAMPLE`.
        service_name: What `ecs` and `otel` lines call the service. `OTEL_SERVICE_NAME`.
        allow_eviction: Run on a server that may evict keys, and so lose jobs. `JOBRUNNER_ALLOW_EVICTION`.
        concurrency: The concurrency of a queue that declares none, 1 to 10,000. `QUEUE_CONCURRENCY`.
        encryption_keys: `id:key` each, the key being 32 bytes in base64: the first seals the payloads of queues with
            secret fields, all of them open. `JOBRUNNER_ENCRYPTION_KEYS`.
    """

    plugins: tuple[str, ...] | None = None
    prefix: str = "jr"
    grace: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 25.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: LogFormat = "auto"
    log_sample: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    service_name: str = "jobrunner"
    allow_eviction: bool = False
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 5
    encryption_keys: Annotated[tuple[str, ...], Secret] = ()

    def __post_init__(self) -> None:
        check_prefix(self.prefix)


hide_in_repr(Settings)

VARIABLES = {
    "plugins": "JOBRUNNER_PLUGINS",
    "prefix": "JOBRUNNER_PREFIX",
    "grace": "JOBRUNNER_GRACE",
    "log_level": "JOBRUNNER_LOG_LEVEL",
    "log_format": "JOBRUNNER_LOG_FORMAT",
    "log_sample": "JOBRUNNER_LOG_SAMPLE",
    "service_name": "OTEL_SERVICE_NAME",
    "allow_eviction": "JOBRUNNER_ALLOW_EVICTION",
    "concurrency": "QUEUE_CONCURRENCY",
    "encryption_keys": "JOBRUNNER_ENCRYPTION_KEYS",
}


def core_settings(environ: Mapping[str, str]) -> Settings:
    """Read the core's settings.

    Raises:
        SettingsError: A variable has a value that cannot be used.
    """
    return _read(Settings, VARIABLES, environ)


def variable_name(plugin: str, field: str) -> str:
    """The environment variable of a plugin's settings field: `JOBRUNNER_PUBLISH_GRAPH_URL`."""
    return f"JOBRUNNER_{plugin}_{field}".upper().replace("-", "_").replace(".", "_")


def plugin_settings(plugin: str, kind: type[S], environ: Mapping[str, str]) -> S:
    """Read a plugin's settings.

    Args:
        plugin: The plugin's name.
        kind: The Struct that it declares; every field without a default must be set.
        environ: The environment.

    Raises:
        SettingsError: A variable is missing, or has a value that cannot be used.
    """
    variables = {name: variable_name(plugin, name) for name in kind.__struct_fields__}
    return _read(kind, variables, environ)


def changed_settings(values: msgspec.Struct, variables: Mapping[str, str]) -> dict[str, str]:
    """What is not at its default, for people: environment variable -> text, with secrets masked.

    Args:
        values: The settings.
        variables: Field -> environment variable.
    """
    kind = type(values)
    plain = masked(values, kind)
    assert isinstance(plain, dict)
    return {
        variables[field.name]: _as_text(plain.get(field.encode_name))
        for field in msgspec.structs.fields(kind)
        if field.name in variables and getattr(values, field.name) != field.default
    }


def setting_secrets(values: msgspec.Struct) -> list[str]:
    """The secret texts of settings, longest first, as `masking.secret_values` gives them; a default is known to everybody."""
    known = {field.default for field in msgspec.structs.fields(values) if isinstance(field.default, str)}
    return [text for text in secret_values(values, type(values)) if text not in known]


def _as_text(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return _USERINFO.sub(f"//{MASK}@", text)


def service_variables(plugin: str, kind: type[msgspec.Struct]) -> dict[str, str]:
    """The outside services that a plugin's settings name: service -> environment variable."""
    found = {}
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        for mark in get_args(hint)[1:] if get_origin(hint) is Annotated else ():
            if isinstance(mark, Service):
                found[mark.name] = variable_name(plugin, name)
    return found


def concurrency_from(variable: str, environ: Mapping[str, str]) -> int | None:
    """A queue's concurrency from its environment variable, 1 to 10,000; None where it is not set.

    Raises:
        SettingsError: The value is no such number.
    """
    text = environ.get(variable, "").strip()
    return _convert(variable, text, Annotated[int, msgspec.Meta(ge=1, le=10_000)]) if text else None  # type: ignore[return-value]  # as converted


def _read(kind: type[S], variables: Mapping[str, str], environ: Mapping[str, str]) -> S:
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    values: dict[str, object] = {}
    for name, variable in variables.items():
        text = environ.get(variable)
        if text is None or (text == "" and hints[name] is not str):
            if fields[name].required:
                raise SettingsError(variable, "it must be set")
            continue
        values[name] = _convert(variable, text, hints[name], default=fields[name].default)
        if WebAddress in get_args(hints[name])[1:]:
            _check_web_port(variable, text)
    try:
        return kind(**values)
    except (ValueError, TypeError) as error:
        raise SettingsError(_meant(variables, str(error)), str(error)) from None


def _check_web_port(variable: str, text: str) -> None:
    try:
        check_port(variable, text)
    except ValueError as error:
        raise SettingsError(variable, str(error).partition(": ")[2]) from None


def _meant(variables: Mapping[str, str], problem: str) -> str:
    """The variables whose fields a message of the Struct's own check names; where it names none, all of them."""
    named = [variable for field, variable in variables.items() if re.search(rf"\b{field}\b", problem)]
    return " or ".join(named or variables.values())


def _convert(variable: str, text: str, kind: object, *, default: object = None) -> object:
    value: object = text
    if _is_list(kind):
        value = [part.strip() for part in text.split(",") if part.strip()]
    elif _is_map(kind):
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError:
            raise SettingsError(variable, "it must be a JSON object") from None
    elif _is_bool(kind):
        value = {
            "1": True,
            "true": True,
            "yes": True,
            "on": True,
            "0": False,
            "false": False,
            "no": False,
            "off": False,
        }.get(text.strip().lower(), text)
    elif text.endswith(
        ("\n", "\r")
    ):  # as from `echo` into a secret's file; patterns and parsers would let it through
        raise SettingsError(variable, "it ends with a line break; take that off")
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        shown = "" if has_secrets(kind) else f"{text[:80]!r} cannot be used: "
        problem = _allowed(kind, str(error), default) or str(error)[:1].lower() + str(error)[1:]
        raise SettingsError(variable, shown + problem) from None


def _allowed(kind: object, problem: str, default: object) -> str:
    """What a value may be, in words; empty where msgspec's own say it."""
    if _is_bool(kind):
        return "it is true or false"
    if "got `str`" in problem:  # where a number was expected; every variable is a text
        kinds = list(branches(kind))
        return "it is a number" if float in kinds else "it is a whole number" if int in kinds else ""
    # A list's problem is that of one of its parts.
    parts = [held for one in branches(kind) if get_origin(one) in _LISTS for held in get_args(one)]
    said = next((words for one in (kind, *parts) if (words := in_words(one, problem))), "")
    if not said and "matching regex" in problem and isinstance(default, str) and default:
        return f"it must look like {default}, the default"
    return said


_LISTS = (tuple, list, set, frozenset)


def _is_list(kind: object) -> bool:
    return any(get_origin(branch) in _LISTS for branch in branches(kind))


def _is_map(kind: object) -> bool:
    return any(
        get_origin(branch) is dict or (isinstance(branch, type) and issubclass(branch, msgspec.Struct))
        for branch in branches(kind)
    )


def _is_bool(kind: object) -> bool:
    return bool in branches(kind)
