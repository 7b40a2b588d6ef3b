"""The installation itself."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from pydantic import Field

from api.operations import Auth, Call, Model, Operations

instance = Operations("Installation")


class InstanceView(Model):
    """What visitors may know of the installation."""

    name: str
    version: str
    registration_open: bool
    mail_enabled: bool = Field(description="Whether a forgotten password can be mailed.")
    rtmp_url: str = Field(description="What to enter as server in OBS.")


@cache
def version() -> str:
    """The version of this source tree."""
    project = Path(__file__).parent.parent / "pyproject.toml"
    return str(tomllib.loads(project.read_text())["project"]["version"])


@instance.get("/instance", "About this installation", answer=InstanceView, auth=Auth.ANYONE)
async def get_instance(call: Call[None, None]) -> InstanceView:
    """Its name and what it allows."""
    settings = call.api.settings
    return InstanceView(
        name=settings.instance_name,
        version=version(),
        registration_open=settings.registration_open,
        mail_enabled=call.api.mailer.enabled,
        rtmp_url=settings.rtmp_url,
    )
