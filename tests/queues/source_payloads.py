"""The payloads of the source system's document, as a producer of any language sends them.

Dates are ISO 8601 strings, as JavaScript writes them. Of each queue there is one payload with every field and one
with those alone that the document does not mark as optional; and of each a list of wrong ones.
"""

from __future__ import annotations

import copy

CREDENTIAL = "EAAG-credential-4711"

FULL = {
    "content/generate-monthly": {
        "tenantId": "demo-tenant",
        "brandId": "brand-123",
        "month": 12,
        "year": 2024,
        "contentCount": 30,
        "platforms": ["instagram", "facebook"],
        "preferences": {"tone": "friendly", "topics": ["winter coffee"], "hashtags": ["newin"]},
    },
    "content/regenerate-single": {
        "tenantId": "demo-tenant",
        "postId": "post-1",
        "brandId": "brand-123",
        "platform": "instagram",
        "regenerationType": "full",
        "preferences": {"tone": "formal", "style": "short sentences"},
    },
    "approval/notify": {
        "tenantId": "demo-tenant",
        "postId": "post-1",
        "brandId": "brand-123",
        "approverIds": ["ana", "bo"],
        "notificationType": "both",
        "dueDate": "2024-12-24T18:00:00.000Z",
        "message": "Please look before noon",
    },
    "publish/dispatch": {
        "tenantId": "demo-tenant",
        "postId": "post-1",
        "scheduleId": "schedule-1",
        "platforms": [
            {
                "platform": "instagram",
                "accountId": "17841400008460056",
                "credentials": {
                    "accessToken": CREDENTIAL,
                    "scopes": ["a", "b"],
                    "expiresIn": 5184000,
                    "more": None,
                },
            }
        ],
        "content": {
            "hook": "Winter coffee is here",
            "body": "First batch of the winter roast.",
            "hashtags": ["newin", "coffee"],
            "mediaUrls": ["https://cdn.example.com/a.jpg"],
        },
        "scheduledTime": "2024-12-01T09:00:00.000Z",
    },
    "analytics/pull": {
        "tenantId": "demo-tenant",
        "brandId": "brand-123",
        "platforms": ["facebook", "instagram"],
        "dateRange": {"startDate": "2024-12-01T00:00:00.000Z", "endDate": "2024-12-31T23:59:59.999Z"},
        "metrics": ["impressions", "likes"],
        "postIds": ["17900000000000002"],
    },
    "image/generate": {
        "tenantId": "demo-tenant",
        "postId": "post-1",
        "brandId": "brand-123",
        "prompt": "A cup of coffee in the snow",
        "style": "minimalist",
        "dimensions": {"width": 1080, "height": 1080},
        "brandColors": ["#0f766e", "#fa0"],
        "brandFonts": ["Manrope"],
    },
    "whatsapp/send": {"to": "+4915123456789", "message": "Your post is ready", "campaignId": "spring-launch"},
}

OPTIONAL = {
    "content/generate-monthly": ("preferences",),
    "content/regenerate-single": ("preferences",),
    "approval/notify": ("dueDate", "message"),
    "publish/dispatch": (),  # mediaUrls is one of content's fields
    "analytics/pull": ("brandId", "postIds"),
    "image/generate": ("postId", "brandColors", "brandFonts"),
    "whatsapp/send": ("campaignId",),
}

QUEUES = {
    "content/generate-monthly": "content.generate.monthly",
    "content/regenerate-single": "content.regen.single",
    "approval/notify": "approval.notify",
    "publish/dispatch": "publish.dispatch",
    "analytics/pull": "analytics.pull",
    "image/generate": "image.generate",
    "whatsapp/send": "whatsapp-messages",
}

NOT_THERE = object()

WRONG: list[tuple[str, str, object]] = [
    *[
        (route, name, NOT_THERE)
        for route, payload in FULL.items()
        for name in payload
        if name not in OPTIONAL[route]
    ],
    *[(route, "tenantId", value) for route in FULL if route != "whatsapp/send" for value in ("", 7, None)],
    *[(route, "colour", "blue") for route in FULL],
    *[("content/generate-monthly", "month", value) for value in (0, 13, "12", 1.5)],
    *[("content/generate-monthly", "year", value) for value in (1999, 2101, None)],
    *[("content/generate-monthly", "contentCount", value) for value in (0, -1, 201)],
    *[("content/generate-monthly", "platforms", value) for value in ([], "x", ["x", "X"], ["a b"])],
    *[("content/generate-monthly", "preferences.tone", value) for value in (5, "t" * 101)],
    *[("content/generate-monthly", "preferences.topics", value) for value in ("coffee", [""], ["t"] * 31)],
    ("content/generate-monthly", "preferences.hashtags", ["h"] * 31),
    ("content/generate-monthly", "preferences.mood", "good"),
    *[("content/regenerate-single", "regenerationType", value) for value in ("title", "", None)],
    ("content/regenerate-single", "postId", ""),
    ("content/regenerate-single", "platform", "a b"),
    ("content/regenerate-single", "preferences.style", 5),
    *[("approval/notify", "approverIds", value) for value in ([], ["ana", "ana"], ["a"] * 101, "ana")],
    ("approval/notify", "notificationType", "sms"),
    *[("approval/notify", "dueDate", value) for value in ("tomorrow", 5)],
    ("approval/notify", "message", "m" * 2001),
    *[("publish/dispatch", "platforms", value) for value in ([], {}, "x")],
    ("publish/dispatch", "platforms[0].platform", ""),
    ("publish/dispatch", "platforms[0].accountId", NOT_THERE),
    ("publish/dispatch", "platforms[0].credentials", "token"),
    ("publish/dispatch", "content.hook", NOT_THERE),
    ("publish/dispatch", "content.hashtags", "newin"),
    *[("publish/dispatch", "content.mediaUrls", value) for value in (["file:///etc/passwd"], ["a.jpg"], 5)],
    *[("publish/dispatch", "scheduledTime", value) for value in ("2024-12-01T09:00:00", "soon", 5)],
    *[("analytics/pull", "platforms", value) for value in ([], ["x", "x"])],
    *[("analytics/pull", "metrics", value) for value in ([], ["applause"], ["likes", "likes"], ["x:a"])],
    ("analytics/pull", "postIds", []),
    ("analytics/pull", "dateRange.startDate", "2025-12-01T00:00:00Z"),
    ("analytics/pull", "dateRange.startDate", "2022-12-01T00:00:00Z"),
    ("analytics/pull", "dateRange.startDate", "2024-12-01T00:00:00"),
    ("analytics/pull", "dateRange.endDate", NOT_THERE),
    *[("image/generate", "prompt", value) for value in ("", " \n", "p" * 4001)],
    ("image/generate", "style", "photo"),
    *[("image/generate", "dimensions.width", value) for value in (63, 4097, "1080", NOT_THERE)],
    *[("image/generate", "brandColors", value) for value in (["red"], ["#12"], ["#fff"] * 9)],
    *[("image/generate", "brandFonts", value) for value in (["../../etc/passwd"], ["Comic Sans"])],
    *[("whatsapp/send", "to", value) for value in ("", "0151 2345678", "+12", "ana", 4915123456789)],
    *[("whatsapp/send", "message", value) for value in ("", " ", "m" * 4097)],
    ("whatsapp/send", "campaignId", "c" * 129),
]
"""Route, the field's path on the wire, and the value that it must not have."""


def minimal(route: str) -> dict[str, object]:
    """A queue's payload with those fields alone that the document demands."""
    payload = copy.deepcopy(FULL[route])
    for name in OPTIONAL[route]:
        payload.pop(name)
    if route == "publish/dispatch":
        payload["content"].pop("mediaUrls")  # type: ignore[attr-defined]  # the payload of that queue
    return payload


def spoiled(route: str, path: str, value: object) -> dict[str, object]:
    """A queue's full payload with one field changed or taken away."""
    payload = copy.deepcopy(FULL[route])
    where: object = payload
    *parents, last = path.replace("[0]", ".0").split(".")
    for part in parents:
        where = where[0] if part == "0" else where[part]  # type: ignore[index]  # plain JSON
    if value is NOT_THERE:
        del where[last]  # type: ignore[attr-defined]
    else:
        where[last] = value  # type: ignore[index]
    return payload
