"""What a picture's file is called: readable where it can be, safe whatever the ids hold, the same for one job.

Only makes names. Never touches a file system.
"""

from __future__ import annotations

import hashlib
import re

UNSAFE = re.compile(r"[^a-z0-9]+")
MOST_READABLE = 40


def picture_path(*, tenant_id: str, subject: str, job_id: str, suffix: str) -> str:
    """Return the path of a job's picture below the output folder.

    Both parts end in a digest of the exact ids, so two tenants or two jobs never share a path, also on file
    systems that ignore case; and neither has a character but `a-z`, `0-9`, `-` and one dot.

    Args:
        tenant_id: Names the folder.
        subject: What the picture is for, for people who look at the folder.
        job_id: Tells pictures apart; a retry of the same job writes the same path.
        suffix: Such as `png`.

    Returns:
        `TENANT-DIGEST/SUBJECT-DIGEST.SUFFIX`, with `/` on every system.
    """
    folder = f"{_readable(tenant_id)}-{_digest(tenant_id)[:12]}"
    return f"{folder}/{_readable(subject)}-{_digest(tenant_id, job_id)[:24]}.{suffix}"


def _readable(text: str) -> str:
    return UNSAFE.sub("-", text.lower())[:MOST_READABLE].strip("-") or "x"


def _digest(*parts: str) -> str:
    # A length before each part: no two lists of parts run together into one text.
    whole = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()
