"""Approvers from a CSV file: all of it is read and checked before anything is done with it.

Knows no table. Every problem is told with its line, not only the first.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping

from jobrunner_approval.approver import Approver, make_approver

COLUMNS = {
    "tenantid": "tenant_id",
    "approverid": "approver_id",
    "id": "approver_id",
    "name": "name",
    "email": "email",
    "phone": "phone",
}
"""A column's name, without blanks, `_`, `-` and case -> the field."""

MOST_BYTES = 64 << 20
MOST_PROBLEMS = 20


class CsvError(Exception):
    """A file that cannot be imported.

    Attributes:
        problems: What is wrong, each with its line, at most 20.
        more: How many more there are.
    """

    def __init__(self, problems: list[str], *, more: int = 0) -> None:
        super().__init__(problems[0])
        self.problems = problems
        self.more = more


def read_approvers(raw: bytes, *, tenant_id: str | None = None) -> list[Approver]:
    """Read a file of approvers.

    Args:
        raw: The file: UTF-8 with or without its mark, commas or semicolons, a line of column names first. The columns
            are `tenantId`, `approverId`, `name`, `email`, `phone`, in any order and spelling; `approverId` must be
            there, and one of the last two.
        tenant_id: The tenant of lines that name none.

    Returns:
        The approvers in the file's order, each tenant and id once.

    Raises:
        CsvError: Something does not fit.
    """
    problems: list[str] = []
    approvers: list[Approver] = []
    lines_by_key: dict[tuple[str, str], int] = {}
    for line, row in _rows(_text(raw), problems):
        if tenant_id is None and "tenant_id" not in row:
            raise CsvError(["line 1: there is no column tenantId; add it, or give --tenant"])
        try:
            approver = make_approver(
                tenant_id=row.get("tenant_id", "") or tenant_id or "",
                approver_id=row.get("approver_id", ""),
                name=row.get("name", ""),
                email=row.get("email", ""),
                phone=row.get("phone", ""),
            )
            if tenant_id is not None and approver.tenant_id != tenant_id:
                raise ValueError(
                    f"tenantId: the line says {approver.tenant_id!r}, and the command {tenant_id!r}"
                )
            key = (approver.tenant_id, approver.approver_id)
            first = lines_by_key.setdefault(key, line)
            if first != line:
                raise ValueError(f"approverId: {approver.approver_id!r} stands in line {first} already")
        except ValueError as error:
            problems.append(f"line {line}: {error}")
        else:
            approvers.append(approver)
    if problems:
        raise CsvError(problems[:MOST_PROBLEMS], more=max(0, len(problems) - MOST_PROBLEMS))
    return approvers


def _text(raw: bytes) -> str:
    if len(raw) > MOST_BYTES:
        raise CsvError(["the file has more than 64 MiB; split it"])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise CsvError([f"line {line}: the file is not UTF-8; save it as `CSV UTF-8`"]) from None


def _rows(text: str, problems: list[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Each line that is not empty with its number; lines of the wrong form become problems."""
    head = text.partition("\n")[0]
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=";" if head.count(";") > head.count(",") else ",",
        strict=True,
        skipinitialspace=True,
    )
    fields: list[str] | None = None
    before = 0
    try:
        for row in reader:
            line, before = before + 1, reader.line_num
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if fields is None:
                fields = _fields(cells)
            elif len(cells) != len(fields):
                problems.append(
                    f"line {line}: it has {len(cells)} values, and there are {len(fields)} columns"
                )
            else:
                yield line, dict(zip(fields, cells, strict=True))
    except csv.Error as error:
        problems.append(f"line {before + 1}: it is no CSV: {error}")
    if fields is None and not problems:
        raise CsvError(["line 1: the file is empty; begin with a line of column names"])


def _fields(names: list[str]) -> list[str]:
    found = []
    for name in names:
        field = COLUMNS.get("".join(char for char in name.lower() if char not in " _-"))
        if field is None:
            known = "tenantId, approverId, name, email, phone"
            raise CsvError([f"line 1: {name[:80]!r} is no column (there are {known})"])
        if field in found:
            raise CsvError([f"line 1: the column {name!r} stands there twice"])
        found.append(field)
    if "approver_id" not in found or not {"email", "phone"} & set(found):
        raise CsvError(["line 1: the columns approverId, and email or phone, must be there"])
    return found
