"""What a worker opens once for all of its content jobs: the writer and the post store; and one text made with them.

Whoever writes, a text is kept only if it is one, and fits its platform.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec

from jobrunner import Job, JobrunnerError
from jobrunner_content.failures import TransientError, WriterError, clip
from jobrunner_content.poststore import PostStore, open_poststore
from jobrunner_content.settings import ContentSettings
from jobrunner_content.text import PostText, tidy
from jobrunner_content.writer import Brief, Writer

P = TypeVar("P", bound=msgspec.Struct)


class Studio(msgspec.Struct, frozen=True, kw_only=True):
    """What content jobs share in a worker.

    Args:
        writer: Who writes.
        posts: The post store.
        settings: The plugin's settings.
    """

    writer: Writer
    posts: PostStore
    settings: ContentSettings

    async def compose(self, job: Job[P], brief: Brief) -> PostText:
        """Have a text written, and check it.

        Args:
            job: The job that asks; a writer that breaks is logged with it.
            brief: What is to be written.

        Returns:
            A text that fits the platform. Of a post that is rewritten, only the part asked for differs.

        Raises:
            TransientError: Not this time: the writer says so or broke, or its text is none or does not fit.
            RefusedError: This text will never be written.
            UnusableError: No text will be until somebody changes something.
        """
        name = self.settings.writer
        try:
            written = await self.writer.write(brief)
        except (WriterError, JobrunnerError):
            raise
        except Exception as error:  # a bug for one post must not keep the others from being written
            job.log.exception("writer.broke", writer=name, post_id=brief.post_id)
            raise TransientError(
                f"the writer {name} broke: {type(error).__name__}: {clip(str(error))}"
            ) from None
        text = merged(brief, _checked(written, name))
        problem = brief.limits.problem(text)
        if problem:
            raise TransientError(f"the text does not fit {brief.platform}: {problem}")
        return text


@asynccontextmanager
async def open_studio(settings: ContentSettings, writer: Writer) -> AsyncIterator[Studio]:
    """Open what content jobs need, and close it at the end.

    Args:
        settings: The plugin's settings.
        writer: Who writes, open.

    Raises:
        SettingsError: The post store is set wrongly.
        PostStoreError: The post store cannot be reached.
    """
    async with open_poststore(settings.database_url) as posts:
        yield Studio(writer=writer, posts=posts, settings=settings)


def merged(brief: Brief, written: PostText) -> PostText:
    """Return the former text with the part that the brief asks for taken from another one."""
    if brief.former is None or brief.part == "full":
        return written
    return msgspec.structs.replace(brief.former, **{brief.part: getattr(written, brief.part)})


def _checked(written: object, name: str) -> PostText:
    # A Struct's constructor checks nothing, so what a writer made is read as if it came from outside.
    try:
        text = msgspec.convert(msgspec.to_builtins(written), PostText)
        return msgspec.convert(msgspec.to_builtins(tidy(text)), PostText)
    except (msgspec.ValidationError, TypeError) as error:
        raise TransientError(f"the writer {name} gave no text of a post: {clip(str(error))}") from None
