"""The settings of the publish plugin, each read from `JOBRUNNER_PUBLISH_<FIELD>`.

Pure data with its bounds. Holds no credentials: those come with each job.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from jobrunner import Service, WebAddress, check_port

MIB = 1 << 20

Host = Annotated[
    str, Meta(pattern=r"^[^\s/:@?#]+$", description="a host's name without https://, such as fosstodon.org")
]


class PublishSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the platforms' adapters need to know besides a job's own credentials.

    Args:
        graph_url: Meta's Graph API, for Facebook and Instagram.
        linkedin_url: LinkedIn's API.
        x_url: X's API.
        mastodon_url: The Mastodon instance of accounts whose credentials name none.
        mastodon_instances: Host names that the credential `instanceUrl` may name besides that one, such as
            `fosstodon.org,hachyderm.io`.
        media_gateway: Where workers have no way out: an egress gateway that answers
            `GET {media_gateway}?url=ADDRESS` with what is at the address. Empty: media are fetched directly.
        graph_version: The Graph API's version.
        linkedin_version: The value of `LinkedIn-Version`, a year and a month; each is served for about a year.
        on_unknown: What becomes of a post whose answer was lost and where nothing tells whether it is there:
            `fail` records it as unknown, `retry` posts again and may double it.
        timeout: Seconds for connecting, and for each read and write, of one API call, 1 to 300.
        media_timeout: Seconds for fetching one of a tenant's media as a whole, 1 to 600.
        media_max_bytes: The most that is read of one of a tenant's media, 1 KiB to 512 MiB.
        poll_interval: Seconds between two looks at media that a platform is processing, 0.01 to 60.
        poll_wait: Seconds that an attempt waits for that, 0 to 600; after it the job is tried again later.
        x_length: The weighted length that X takes of these accounts, 280 unless they are paid for.

    Raises:
        ValueError: The gateway's port is none.
    """

    graph_url: Annotated[str, Service("graph"), WebAddress] = "https://graph.facebook.com"
    linkedin_url: Annotated[str, Service("linkedin"), WebAddress] = "https://api.linkedin.com"
    x_url: Annotated[str, Service("x"), WebAddress] = "https://api.x.com"
    mastodon_url: Annotated[str, Service("mastodon"), WebAddress] = "https://mastodon.social"
    mastodon_instances: tuple[Host, ...] = ()
    media_gateway: Annotated[
        str,
        Service("media"),
        Meta(pattern=r"^(https?://[^\s?#]+)?$", description="a web address without a query"),
    ] = ""
    graph_version: Annotated[str, Meta(pattern=r"^v[0-9]{1,2}\.[0-9]$")] = "v25.0"
    linkedin_version: Annotated[str, Meta(pattern=r"^20[0-9]{4}(\.[0-9]{2})?$")] = "202607"
    on_unknown: Literal["fail", "retry"] = "fail"
    timeout: Annotated[float, Meta(ge=1, le=300)] = 30.0
    media_timeout: Annotated[float, Meta(ge=1, le=600)] = 60.0
    media_max_bytes: Annotated[int, Meta(ge=1024, le=512 * MIB)] = 20 * MIB
    poll_interval: Annotated[float, Meta(ge=0.01, le=60)] = 3.0
    poll_wait: Annotated[float, Meta(ge=0, le=600)] = 60.0
    x_length: Annotated[int, Meta(ge=1, le=25_000)] = 280

    def __post_init__(self) -> None:
        check_port("media_gateway", self.media_gateway)
