"""The installation itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from api.operations import Auth, Call, Model, Operations
from core.instance_settings import InstanceSettings
from core.version import RELEASE

instance = Operations("Installation")


class BannerView(Model):
    """What everybody is to know."""

    text: str
    level: Literal["info", "warning", "danger"]
    until: datetime | None = Field(description="When it goes by itself.")


class InstanceView(Model):
    """What visitors may know of the installation."""

    name: str
    tagline: str
    version: str
    registration_open: bool
    who_may_stream: Literal["everybody", "approved", "nobody"]
    mail_enabled: bool = Field(description="Whether a forgotten password can be mailed.")
    rtmp_url: str = Field(description="What to enter as server in OBS.")
    banner: BannerView | None
    has_about: bool = Field(description="Whether there is anything on the page about the site.")
    has_rules: bool


class TextsView(Model):
    """What a site says of itself; plain text with line breaks."""

    about: str
    rules: str


def banner_of(now: InstanceSettings, at: datetime) -> BannerView | None:
    """The banner that is shown at this time."""
    over = now.banner_until is not None and now.banner_until <= at
    if not now.banner_text or over:
        return None
    return BannerView(text=now.banner_text, level=now.banner_level, until=now.banner_until)


@instance.get("/instance", "About this installation", answer=InstanceView, auth=Auth.ANYONE)
async def get_instance(call: Call[None, None]) -> InstanceView:
    """Its name and what it allows."""
    now = call.api.current.now
    return InstanceView(
        name=now.instance_name,
        tagline=now.tagline,
        version=RELEASE,
        registration_open=now.registration_open,
        who_may_stream=now.who_may_stream,
        mail_enabled=call.api.mailer.enabled,
        rtmp_url=call.api.settings.rtmp_url,
        banner=banner_of(now, datetime.now(UTC)),
        has_about=bool(now.about),
        has_rules=bool(now.rules),
    )


@instance.get("/instance/texts", "What the site says", answer=TextsView, auth=Auth.ANYONE)
async def get_texts(call: Call[None, None]) -> TextsView:
    """About itself, and its rules; empty where its admins wrote nothing."""
    now = call.api.current.now
    return TextsView(about=now.about, rules=now.rules)
