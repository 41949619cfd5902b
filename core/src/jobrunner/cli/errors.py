"""How a command ends: its exit status, and for an error one line that says what to do.

A traceback is shown only with `--debug`, and never changes the status: 0 done; 1 what was asked for failed, or
something was found; 2 wrong usage; 3 the store cannot be used.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable

import click

from jobrunner.errors import JobrunnerError, StoreError

THREADS_S = 3.0
"""Seconds that threads have to end in once a command is over."""

INTERRUPTED = 128 + signal.SIGINT
"""What shells take for a command that Ctrl-C ended."""


_NO_WORDS: type[click.UsageError] | tuple[()] = getattr(click.exceptions, "NoArgsIsHelpError", ())
"""A group of commands that was called without one; click before 8.2 shows the help itself."""


def ended(command: Callable[[], object], *, debug: bool) -> int:
    """Run a command and tell how it ended.

    Args:
        command: What to run; an int that it returns is its status.
        debug: Whether to show where an error came from.

    Returns:
        The exit status.
    """
    try:
        status = command()
    except click.exceptions.Exit as exit_:
        return int(exit_.exit_code)
    except click.Abort as abort:
        if isinstance(abort.__cause__, KeyboardInterrupt):  # as click has Ctrl-C, but for one at a question
            return INTERRUPTED
        return _say("aborted", 1)
    except click.UsageError as error:
        if isinstance(error, _NO_WORDS):  # its text is the help
            click.echo(error.format_message(), err=True)
            return 2
        if error.ctx is not None:
            click.echo(error.ctx.get_usage(), err=True)
        return _say(error.format_message(), 2)
    except click.ClickException as error:
        return _say(error.format_message(), error.exit_code, debug=debug)
    except JobrunnerError as error:
        from jobrunner.worker.word import takes_word

        if not takes_word(os.environ):  # another worker of the same supervisor has told it
            return error.exit_status
        return _say(_with_offer(error), error.exit_status, debug=debug)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort, for what nobody thought of
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return _say(f"{text} (this is a bug; --debug shows where)", 1, debug=debug)
    return status if isinstance(status, int) else 0


def end_soon(status: int) -> None:
    """See to it that the process ends, though a handler's thread does not: Python itself would wait for it for ever.

    Args:
        status: Its exit status.
    """
    me = threading.current_thread()
    if any(thread is not me and not thread.daemon for thread in threading.enumerate()):
        watch = threading.Timer(THREADS_S, end_now, (status,))
        watch.daemon = True
        watch.start()


def end_now(status: int) -> None:
    """End the process without waiting for any thread."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # closed, full, or none
            stream.flush()
    os._exit(status)


def _with_offer(error: JobrunnerError) -> str:
    """An error's text on one line, and where the server is not there, what to do: with none configured, the embedded one."""
    text = " ".join(str(error).split())
    if not isinstance(error, StoreError) or "cannot be reached" not in text:
        return text
    configured = [name for name in ("REDIS_URL", "REDIS_HOST", "REDIS_PORT") if os.environ.get(name)][:2]
    if not configured:
        offer = "set REDIS_URL, or try `jobrunner --embedded ...`, which brings its own server"
    elif os.environ.get("REDIS_URL", "").startswith("embedded:"):
        return text
    else:  # REDIS_URL wins over the others
        named = "REDIS_URL" if configured[0] == "REDIS_URL" else " or ".join(configured)
        offer = f"start it there, or change {named}"
    return f"{text.rstrip('.')}; {offer}"


def _say(text: str, status: int, *, debug: bool = False) -> int:
    if debug:
        traceback.print_exc()
    click.echo(click.style("error: ", fg="red", bold=True) + text, err=True)
    return status
