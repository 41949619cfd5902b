"""What a job asks of a platform, and the rows that come of its answer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobrunner_analytics import Account, AnalyticsPull, DateRange, PostFigures, RefusedError
from jobrunner_analytics.plan import make_plan, make_rows, unknown_ids
from jobrunner_analytics.platforms import facebook, linkedin, x

ACCOUNT = Account(tenant="acme", platform="facebook", id="77", token="EAAG-a-secret-token-77")


def payload(metrics: tuple[str, ...], *ids: str) -> AnalyticsPull:
    return AnalyticsPull(
        tenant_id="acme",
        platforms=("Facebook", "X", "linkedin"),
        date_range=DateRange(
            start_date=datetime(2026, 10, 1, tzinfo=UTC), end_date=datetime(2026, 11, 1, tzinfo=UTC)
        ),
        metrics=metrics,
        post_ids=ids or None,
    )


def test_common_names_and_a_platforms_own_become_its_names() -> None:
    """Each is asked once, under whatever names it was wanted."""
    wanted = make_plan(
        payload(("views", "saves", "impressions", "facebook:post_clicks", "x:quote_count")),
        "Facebook",
        facebook,
    )

    assert wanted.query.metrics == ("post_media_view", "post_clicks")
    assert wanted.names == {"post_media_view": ("views", "impressions"), "post_clicks": ("post_clicks",)}
    assert wanted.unsupported == ("saves",)


def test_ids_go_where_they_look_like_or_where_they_say() -> None:
    """The same digits can be a post of several platforms: a name in front says of which."""
    asked = payload(("likes",), "77_1", "x:5", "X:5", "6", "urn:li:share:7", "what?")

    ids = {name: make_plan(asked, name, kind).query.post_ids for name, kind in KINDS.items()}

    assert ids == {"Facebook": ("77_1",), "X": ("5", "6"), "linkedin": ("urn:li:share:7",)}
    assert unknown_ids(asked, list(KINDS.values())) == ["what?"]


KINDS = {"Facebook": facebook, "X": x, "linkedin": linkedin}


@pytest.mark.parametrize(
    "post",
    [
        PostFigures(post_id="", values={"post_clicks": 1}),
        PostFigures(post_id="7\x00", values={"post_clicks": 1}),
        PostFigures(post_id="7" * 301, values={"post_clicks": 1}),
        PostFigures(post_id="7", values={"post_clicks": float("nan")}),
        PostFigures(post_id="7", values={"post_clicks": 10**400}),
        PostFigures(post_id="7", values={"post_clicks.\x00": 1}),
    ],
)
def test_answer_that_cannot_be_stored_gives_the_account_up(post: PostFigures) -> None:
    """A database that refuses would fail every attempt, and the other accounts with it."""
    wanted = make_plan(payload(("clicks",)), "facebook", facebook)

    with pytest.raises(RefusedError):
        make_rows([post], wanted=wanted, account=ACCOUNT, now=0.0)
