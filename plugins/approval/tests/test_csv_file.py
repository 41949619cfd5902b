"""Approvers from CSV: what offices export is understood, and every mistake is told with its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobrunner_approval import Approver
from jobrunner_approval.csv_file import CsvError, read_approvers

ANA = Approver(
    tenant_id="acme", approver_id="ana", name="Ana Alba", email="ana@example.com", phone="+4915123456789"
)


@pytest.mark.parametrize(
    "text",
    [
        "tenantId,approverId,name,email,phone\nacme,ana,Ana Alba,ana@example.com,+49 151 234 567 89\n",
        "\ufefftenantId;approverId;name;email;phone\r\nacme;ana;Ana Alba;ana@example.com;0049 151 23456789\r\n",
        'Phone, E-Mail ,Name,tenant_id,ID\n"+49 (0)151-23456789",ana@EXAMPLE.com,"Ana Alba",acme,ana',
        "tenantId,approverId,name,email,phone\n\n,,,,\nacme,ana, Ana Alba ,ana@example.com,+4915123456789\n\n",
    ],
)
def test_file_of_any_office_is_understood(text: str) -> None:
    """Semicolons, a mark in front, other names of columns, empty lines."""
    assert read_approvers(text.encode()) == [ANA]


def test_tenant_of_the_command_is_that_of_lines_that_name_none() -> None:
    """A file of one tenant needs no column for it; one of another tenant must not slip in."""
    text = b"approverId,email\nana,ana@example.com\n"

    (approver,) = read_approvers(text, tenant_id="acme")
    with pytest.raises(CsvError, match="line 2: tenantId: the line says 'other'"):
        read_approvers(b"tenantId,approverId,email\nother,ana,ana@example.com\n", tenant_id="acme")

    assert approver.tenant_id == "acme"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "line 1: the file is empty"),
        (b"\n\n", "line 1: the file is empty"),
        (b"name,email\nAna,ana@example.com", "line 1: the columns approverId"),
        (
            b"approverId,email\nana,a@b.example",
            "line 1: there is no column tenantId; add it, or give --tenant",
        ),
        (b"approverId,name\nana,Ana", "line 1: the columns approverId, and email or phone"),
        (b"approverId,email,shoe size\n", "line 1: 'shoe size' is no column"),
        (b"id,approverId,email\n", "line 1: the column 'approverId' stands there twice"),
        (b"tenantId,approverId,email\nacme,ana\n", "line 2: it has 2 values, and there are 3 columns"),
        (b"tenantId,approverId,email\nacme,ana,a@b.example,x\n", "line 2: it has 4 values"),
        (b"tenantId,approverId,email\nacme,ana,\n", "line 2: email: there is neither"),
        (b"tenantId,approverId,email\n,ana,a@b.example\n", "line 2: tenantId: '' does not fit"),
        (b"tenantId,approverId,email\nA B,ana,a@b.example\n", "line 2: tenantId: 'A B' does not fit"),
        (b"tenantId,approverId,email\nacme,,a@b.example\n", "line 2: approverId: '' does not fit"),
        (b"tenantId,approverId,email\nacme,ana,ana\n", "line 2: email: 'ana' is no mail address"),
        (b"tenantId,approverId,email\nacme,ana,a@b@c\n", "line 2: email: 'a@b@c' is no mail address"),
        (b"tenantId,approverId,email\nacme,ana,<a@b.example>\n", "line 2: email: "),
        (b'tenantId,approverId,email\nacme,ana,"a@b.example\nBcc: e@f.example"\n', "line 2: email: "),
        (b"tenantId,approverId,email\nacme,ana,a..b@c.example\n", "line 2: email: "),
        (b"tenantId,approverId,email\nacme,ana,a@-b.example\n", "line 2: email: "),
        (b"tenantId,approverId,phone\nacme,ana,0151 234567\n", "line 2: phone: '0151 234567' is no number"),
        (b"tenantId,approverId,phone\nacme,ana,=1+1\n", "line 2: phone: "),
        (b'tenantId,approverId,email,name\nacme,ana,a@b.example,"A\nB"\n', "line 2: name: "),
        (
            b"tenantId,approverId,email\nacme,a,a@b.example\nacme,b,c@d.example\nacme,a,e@f.example\n",
            "line 4: approverId: 'a' stands in line 2 already",
        ),
        (b"tenantId,approverId,email\nacme,ana,\xff@b.example\n", "line 2: the file is not UTF-8"),
        (b'tenantId,approverId,email\nacme,"ana"x,a@b.example\n', "line 2: it is no CSV"),
        (b'tenantId,approverId,email\nacme,ana,"a@b.example\n', "line 2: it is no CSV"),
    ],
)
def test_mistake_is_told_with_its_line(text: bytes, problem: str) -> None:
    """Whoever exported the file finds it there."""
    with pytest.raises(CsvError) as caught:
        read_approvers(text)
    assert caught.value.problems[0].startswith(problem)


def test_line_is_where_its_row_begins() -> None:
    """A name over two lines moves every line after it."""
    text = b'tenantId,approverId,name,email\nacme,a,"A\n\nB",a@b.example\nacme,b,B,none\n'

    with pytest.raises(CsvError) as caught:
        read_approvers(text)

    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["line 2", "line 5"]


def test_every_mistake_is_told_and_not_only_the_first() -> None:
    """But not a thousand of them."""
    text = b"tenantId,approverId,email\n" + b"acme,ana,none\n" * 1000

    with pytest.raises(CsvError) as caught:
        read_approvers(text)

    assert len(caught.value.problems) == 20
    assert caught.value.more == 980


def test_domain_of_other_letters_comes_in_its_ascii_form() -> None:
    """Mail servers take it so."""
    text = "tenantId,approverId,email\nacme,ana,ana@b\u00fccher.example\n".encode()

    assert read_approvers(text)[0].email == "ana@xn--bcher-kva.example"


@given(st.binary(max_size=300))
def test_any_bytes_are_approvers_or_a_mistake(raw: bytes) -> None:
    """A picture, say."""
    for head in (b"", b"tenantId,approverId,email,phone\n"):
        try:
            approvers = read_approvers(head + raw)
        except CsvError:
            continue
        assert all(one.tenant_id and one.approver_id and (one.email or one.phone) for one in approvers)
