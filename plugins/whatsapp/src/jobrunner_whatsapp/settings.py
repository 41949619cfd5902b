"""The settings of the WhatsApp plugin, each read from `JOBRUNNER_WHATSAPP_<FIELD>`.

Pure data with its bounds. The one credential, the access token, is masked wherever people look.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from jobrunner import Secret, Service, WebAddress


class WhatsAppSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How messages are sent.

    Args:
        graph_url: Meta's Graph API.
        version: Its version.
        phone_number_id: The id of the business phone number that sends; not the number itself. Without it
            every job is given up, and says so.
        access_token: A system user's token with `whatsapp_business_messaging`. Likewise.
        template: The name of an approved message template whose body has one parameter, the message. Empty:
            free text, which reaches people only within 24 hours after they wrote.
        template_language: The template's language, such as `en_US`.
        on_unknown: What becomes of a message whose answer was lost: `fail` gives the job up as unknown, `retry`
            sends again, and the recipient may get it twice.
        timeout: Seconds for connecting, and for each read and write, 1 to 300; a call takes twice that at most.
    """

    graph_url: Annotated[str, Service("whatsapp"), WebAddress] = "https://graph.facebook.com"
    version: Annotated[str, Meta(pattern=r"^v[0-9]{1,2}\.[0-9]$")] = "v25.0"
    phone_number_id: Annotated[
        str, Meta(pattern=r"^[0-9]{0,32}$", description="the id of the number that sends: digits alone")
    ] = ""
    access_token: Annotated[
        str, Secret, Meta(pattern=r"^[!-~]*$", max_length=4096, description="printable ASCII without blanks")
    ] = ""
    template: Annotated[
        str,
        Meta(pattern=r"^[a-z0-9_]*$", max_length=512, description="a template's name: a to z, 0 to 9 and _"),
    ] = ""
    template_language: Annotated[str, Meta(pattern=r"^[A-Za-z]{2,3}(_[A-Za-z]{2,4})?$")] = "en_US"
    on_unknown: Literal["fail", "retry"] = "fail"
    timeout: Annotated[float, Meta(ge=1, le=300)] = 30.0
