"""Every setting of an installation: a class, of a file for each part.

`docs/configuration.md` and `.env.example` are generated from this class.
"""

from __future__ import annotations

import ipaddress
import json
import os
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from core.settings.access import Access
from core.settings.backups import Backups
from core.settings.chat import Chat
from core.settings.files import PREFIX, FileSettingsSource
from core.settings.live import Live
from core.settings.names import unknown
from core.settings.places import Places
from core.settings.processes import Processes
from core.settings.videos import Videos

__all__ = ["PREFIX", "SECRET_KEY_MIN_BYTES", "FileSettingsSource", "Settings"]

SECRET_KEY_MIN_BYTES = 32


# The last comes first in the documents.
class Settings(Backups, Videos, Chat, Live, Processes, Access, Places, BaseSettings):
    """The settings of one installation, read from the environment.

    Raises pydantic's ValidationError, without the offending values in it, when one is missing or
    wrong.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="ignore",
        # A wrong secret or URL with a password must not end up in a log.
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, FileSettingsSource(settings_cls)

    @field_validator("trusted_proxies", "edge_internal_urls", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """A list as JSON or separated by commas."""
        if not isinstance(value, str):
            return value
        text = value.strip()
        return (
            json.loads(text)
            if text.startswith("[")
            else [part.strip() for part in text.split(",") if part.strip()]
        )

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        return [str(ipaddress.ip_network(item, strict=False)) for item in value]

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.path.strip("/")
            or parts.query
        ):
            raise ValueError("must be http:// or https:// with a host and nothing after it")
        return value.rstrip("/")

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value().encode()) < SECRET_KEY_MIN_BYTES:
            raise ValueError(f"must have at least {SECRET_KEY_MIN_BYTES} bytes")
        return value

    @model_validator(mode="after")
    def _windows(self) -> Self:
        if self.part_target_s > self.segment_target_s / 2:
            raise ValueError("part_target_s must be at most half of segment_target_s")
        return self

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        if not (self.https_listen or self.rtmps_listen or self.irc_tls_listen):
            return self
        if self.acme_directory:
            if not self.secure:
                raise ValueError(
                    "public_url must be https:// with the name that ACME is to certify"
                )
        elif self.tls_certificate is None or self.tls_key is None:
            raise ValueError("TLS needs tls_certificate and tls_key, or acme_directory")
        if self.https_listen and not self.secure:
            raise ValueError("https_listen needs a public_url with https://")
        return self

    @classmethod
    def from_environment(cls) -> Settings:
        """The settings of this process. Raises ValueError (pydantic's, or for a missing file)."""
        return cls()  # type: ignore[call-arg]

    @classmethod
    def mistyped(cls) -> list[str]:
        """What the environment sets that is no setting, a sentence each."""
        return [
            f"{name} is no setting" + (f": {meant}?" if meant else "")
            for name, meant in unknown(os.environ, cls.model_fields).items()
        ]

    @property
    def spool(self) -> Path:
        """The folder in which segments wait for the object storage."""
        return self.spool_dir or self.data_dir / "spool"

    @property
    def secure(self) -> bool:
        """Whether browsers reach us over HTTPS."""
        return self.public_url.startswith("https://")

    @property
    def certificate(self) -> tuple[Path, Path]:
        """The PEM files of the chain and of its key: those that are named, or those that ACME makes."""
        folder = self.data_dir / "tls"
        if self.acme_directory or self.tls_certificate is None or self.tls_key is None:
            return folder / "certificate.pem", folder / "key.pem"
        return self.tls_certificate, self.tls_key

    @property
    def acme_challenges(self) -> Path | None:
        """The folder in which the edge shows the authority that this name is ours."""
        return self.data_dir / "tls/challenges" if self.acme_directory else None

    @property
    def mail_sender(self) -> str:
        """The address mail comes from."""
        return self.smtp_from or f"footlight@{urlsplit(self.public_url).hostname}"
