"""What an error of the driver means: did the command happen, and does trying again help?

One table, so that no caller has to know Redis's error words.
"""

from __future__ import annotations

import re
import ssl

import redis.exceptions as driver

from jobrunner.errors import (
    LateExchangeError,
    OutcomeUnknownError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreRefusedError,
    StoreUnavailableError,
)
from jobrunner.store.scripts import CALLED, SCRIPT_KEYS, script

# The driver takes the first word off an answer that it has a class for, so classes come first and words second.
_FULL = (driver.OutOfMemoryError,)
_NOT_NOW_CLASSES = (
    driver.BusyLoadingError,
    driver.ReadOnlyError,
    driver.MasterDownError,
    driver.TryAgainError,
    driver.ClusterDownError,
    driver.AskError,
    driver.MaxConnectionsError,
)
_NEVER_CLASSES = (
    driver.AuthenticationError,
    driver.NoPermissionError,
    driver.AuthenticationWrongNumberOfArgsError,
)

_CUT_OFF = (
    *(driver.ConnectionError, driver.TimeoutError, driver.InvalidResponse),
    *(OSError, TimeoutError, EOFError),
)

_NOT_NOW = frozenset(
    {
        *("LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "UNBLOCKED", "NOREPLICAS", "MISCONF"),
        *("READONLY", "MOVED", "ASK", "FAILOVER"),
    }
)
"""Words of answers that say: not done, try again."""

_NEVER = frozenset({"NOAUTH", "NOPERM", "WRONGPASS", "DENIED"})
"""Words of answers that say: not done, and trying again will not help."""

_NEVER_PHRASES = ("invalid username-password", "unknown command")

# An answer's word stands at its start; where a script failed, older servers put theirs before it. Nowhere else, since
# the rest may quote a job's id, which is the producer's choice.
_WORD = re.compile(r"(?:^|: )-?([A-Z]{2,})(?= |$)")


_FORBIDDEN = re.compile(r"^(?:ERR )?ACL failure in script|[Uu]ser executing the script can't")
_LINE = re.compile(r"user_script: ?(\d+)")


UNREADABLE = (AssertionError, TypeError, ValueError, LookupError, AttributeError, OverflowError)
"""What reading a reply raises where it is of another shape than what was asked for has."""


def not_understood(reply: object, what: str) -> StoreError:
    """What to say of a reply of another shape.

    The shape of a script's is its own, so this one was another command's, or not Redis'. What a plain read brings may be
    what somebody else wrote.

    Args:
        reply: The reply.
        what: The script's or command's name.
    """
    match reply:
        case None:
            shape = "nothing"
        case bytes() | str():
            shape = repr(reply[:60]).removeprefix("b")
        case int() | float():
            shape = f"{reply:.6g}"
        case _:
            shape = f"{len(reply)} parts" if isinstance(reply, list) else type(reply).__name__
    if what in SCRIPT_KEYS:
        return OutcomeUnknownError(
            f"{what}: the answer was lost (what came is none to that: {shape}); is it Redis that answers at this address?"
        )
    return StoreCorruptError(f"{what}: Redis said {shape}; a key holds what jobrunner did not write there")


def is_noscript(error: BaseException) -> bool:
    """Whether the server does not know the script: send its text."""
    return isinstance(error, driver.NoScriptError) or "NOSCRIPT" in _words(str(error))


def translate(error: BaseException, what: str, *, sent: bool) -> StoreError:
    """Turn an error of the driver or the socket into one of ours.

    Args:
        error: What was raised.
        what: The script's or command's name, for the message.
        sent: Whether the command can have reached the server.
    """
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if (distrusted := _distrusted(error)) is not None:
        return distrusted
    if isinstance(error, _NEVER_CLASSES):
        return _refused(text)
    if isinstance(error, _NOT_NOW_CLASSES):
        return StoreUnavailableError(f"Redis does not serve right now: {text}")
    if isinstance(error, _FULL):
        return StoreFullError(
            "Redis is at its maxmemory; nothing was enqueued: make room, or raise maxmemory"
        )
    if isinstance(error, driver.ResponseError):
        return _forbidden(text, what) or _answered(text, what)
    if isinstance(error, _CUT_OFF):
        refused = _said_by_server(text)
        if refused is not None:
            return refused
        if sent:
            return OutcomeUnknownError(f"{what}: the answer was lost ({text})")
        return StoreUnavailableError(f"Redis cannot be reached: {text}")
    return StoreUnavailableError(f"{what}: {type(error).__name__}: {text}")


def _distrusted(error: BaseException | None) -> StoreError | None:
    """The driver hides why a certificate was not accepted behind an error of its own, in text."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            why = error.verify_message.rstrip(".")
            return StoreRefusedError(
                f"the certificate of Redis is not accepted: {why}; ssl_ca_certs in REDIS_URL names the file of the "
                "authority that signed it, and the host must be one that it was made for"
            )
        error = error.__cause__ or error.__context__
    return None


def _forbidden(text: str, what: str) -> StoreError | None:
    """A right that the user lacks inside a script: some servers name the command, others only the script's line."""
    if not _FORBIDDEN.search(text):
        return None
    named, at = text.split(" script: ", maxsplit=1)[0], _LINE.search(text)
    if "'" not in named.replace("can't", "") and at is not None and what in SCRIPT_KEYS:
        line = script(what).text.splitlines()[int(at.group(1)) - 1]
        called = [f"'{name.lower()}'" for name in CALLED.findall(line)]
        named = f"{named}: {' or '.join(called)}, in {what}"
    return StoreRefusedError(f"Redis refuses us: {named}; `jobrunner doctor --acl` prints what a user needs")


def _refused(text: str) -> StoreRefusedError:
    return StoreRefusedError(
        f"Redis refuses us: {text}; check the user and the password in REDIS_URL, and what they may do "
        "(`jobrunner doctor --acl` prints what is needed)"
    )


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text))


def _said_by_server(text: str) -> StoreError | None:
    """The driver raises some answers as connection errors."""
    words = _words(text)
    if words & _NEVER or any(phrase in text for phrase in _NEVER_PHRASES):
        return _refused(text)
    if words & _NOT_NOW or "max number of clients" in text:
        return StoreUnavailableError(f"Redis does not serve right now: {text}")
    return None


def _answered(text: str, what: str) -> StoreError:
    said = _said_by_server(text)
    if said is not None:
        return said
    if "OOM" in _words(text):
        return StoreFullError(
            "Redis is at its maxmemory; nothing was enqueued: make room, or raise maxmemory"
        )
    if text.startswith("LATE exchange"):
        return LateExchangeError(text)
    return StoreCorruptError(f"{what}: Redis said {text!r}; a key holds what jobrunner did not write there")
