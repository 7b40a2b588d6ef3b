"""Settings: secrets, and who gets in."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import NoDecode


class Access(BaseModel):
    """Secrets, and who gets in."""

    secret_key: SecretStr = Field(
        ...,
        description=(
            "Master secret of at least 32 bytes; everything else is derived from it. Losing it ends"
            " logins and stream keys."
        ),
    )
    registration_open: bool = Field(
        default=True, description="Whether anybody may make an account."
    )
    streaming_open: bool = Field(
        default=True,
        description="Whether new accounts may stream. If not, an admin makes somebody a `creator`.",
    )
    trusted_proxies: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description=(
            "Addresses or networks of proxies whose `X-Real-IP` is believed. Connections over a "
            "unix socket always are. IRC's connections from them are not limited by address."
        ),
    )
    access_token_s: int = Field(
        default=900, ge=60, le=3600, description="Life of an access token, seconds."
    )
    login_days: int = Field(
        default=30, ge=1, le=365, description="Days after which an unused login ends."
    )
    reset_token_s: int = Field(
        default=3600, ge=300, le=86400, description="Life of a password reset link, seconds."
    )
    signing_key_days: int = Field(
        default=30, ge=1, le=365, description="Days after which a new key signs tokens."
    )
    login_hold_days: int = Field(
        default=180,
        ge=0,
        le=36_500,
        description="Days for which the login of a deleted account cannot be registered again.",
    )
    rate_limit_factor: float = Field(
        default=1.0,
        gt=0,
        le=1000,
        description=(
            "Multiplies every rate limit per address and account of the API and of chat; for load tests "
            "and large shared networks."
        ),
    )
