"""What a running instance may change of itself: kept in PostgreSQL, the same in every process.

An admin's choice is a row of `instance_settings` (`core.db.models.SettingsVersion`), the newest one holds.
Whoever changes something says so with an event; each process hears of it and reads the row again, and looks
now and then by itself for what it missed. What an environment variable says is fixed: it wins, and nobody can
change it while the instance runs. What is not chosen has the environment's default.

A part of a service keeps no value of these: it is given the process's `CurrentSettings` and asks `.now` when
it needs one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, Literal

from prometheus_client import Gauge
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.bus import Bus, obey_cancellation
from core.db.engine import Database
from core.db.models import SettingsVersion
from core.errors import Unavailable
from core.events import SettingsChanged
from core.logs import logger
from core.service import Service
from core.settings import PREFIX, Settings

log = logger(__name__)

# An event is heard at once; this finds what was changed while NATS was away.
LOOK_S = 5.0
RETRY_S = 0.5
TEXT_LENGTH = 10_000

Chosen = dict[str, Any]


def _shared(name: str) -> Any:
    """With the default, the limits and the meaning of the environment variable of the same name."""
    return copy(Settings.model_fields[name])


class InstanceSettings(BaseModel):
    """The settings that hold at a moment."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    # --- the site ---------------------------------------------------------------------------------
    instance_name: str = _shared("instance_name")
    tagline: str = Field(default="", max_length=160, description="One line under the name.")
    about: str = Field(
        default="", max_length=TEXT_LENGTH, description="What this site is; plain text."
    )
    rules: str = Field(default="", max_length=TEXT_LENGTH, description="Its rules; plain text.")
    banner_text: str = Field(
        default="", max_length=500, description="Shown on every page. Empty: no banner."
    )
    banner_level: Literal["info", "warning", "danger"] = Field(
        default="info", description="How urgent the banner looks."
    )
    banner_until: AwareDatetime | None = Field(
        default=None, description="When the banner goes by itself; null: it stays."
    )

    # --- accounts ---------------------------------------------------------------------------------
    registration_open: bool = _shared("registration_open")
    who_may_stream: Literal["everybody", "approved", "nobody"] = Field(
        default="everybody",
        description=(
            "`everybody`: a new account may stream at once. `approved`: a new account waits until an "
            "admin makes it a `creator`. `nobody`: no stream can begin; those that run go on."
        ),
    )
    login_hold_days: int = _shared("login_hold_days")

    # --- live -------------------------------------------------------------------------------------
    max_streams: int = Field(
        default=0, ge=0, le=100_000, description="Streams at once on the whole site; 0: no limit."
    )
    max_bitrate_kbps: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description=(
            "Most that an encoder may send, kbit/s, over half a minute and with a tenth to spare; "
            "0: no limit."
        ),
    )
    max_resolution: int = Field(
        default=0,
        ge=0,
        le=16_384,
        description="Largest picture by its shorter side, such as 1080; 0: no limit.",
    )
    ladder: str = _shared("ladder")
    grace_s: float = _shared("grace_s")
    recording: bool = _shared("recording")

    # --- videos -----------------------------------------------------------------------------------
    video_retention_days: int = _shared("video_retention_days")
    video_channel_quota_bytes: int = _shared("video_channel_quota_bytes")
    trash_days: float = _shared("trash_days")
    upload_max_bytes: int = _shared("upload_max_bytes")
    upload_parallel: int = _shared("upload_parallel")
    upload_quota_bytes: int = _shared("upload_quota_bytes")
    export_link_days: float = _shared("export_link_days")

    # --- chat -------------------------------------------------------------------------------------
    chat_retention_days: int = _shared("chat_retention_days")
    chat_join_history: int = _shared("chat_join_history")
    chat_held_s: float = _shared("chat_held_s")
    chat_pin_s: float = _shared("chat_pin_s")


def fixed_by(settings: Settings) -> dict[str, str]:
    """The settings that the environment fixes, each with the variable that does."""
    given = settings.model_fields_set
    fixed = {
        name: f"{PREFIX}{name.upper()}" for name in InstanceSettings.model_fields if name in given
    }
    if "streaming_open" in given:
        fixed["who_may_stream"] = f"{PREFIX}STREAMING_OPEN"
    return fixed


def _environment(settings: Settings) -> Chosen:
    """What holds where nothing is chosen."""
    values: Chosen = {
        name: getattr(settings, name)
        for name in InstanceSettings.model_fields
        if name in Settings.model_fields
    }
    values["who_may_stream"] = "everybody" if settings.streaming_open else "approved"
    return values


def effective(settings: Settings, chosen: Mapping[str, Any]) -> InstanceSettings:
    """What holds when `chosen` is: the environment's word first.

    A value that this release cannot use (another one wrote it) is logged and passed over.
    """
    fixed = fixed_by(settings)
    ours = {name: value for name, value in chosen.items() if name not in fixed}
    try:
        return InstanceSettings.model_validate({**_environment(settings), **ours})
    except ValidationError as error:
        wrong = {str(part["loc"][0]) for part in error.errors(include_url=False) if part["loc"]}
        log.warning("settings_unusable", names=sorted(wrong))
        if not wrong & ours.keys():
            raise
        return effective(settings, {n: v for n, v in ours.items() if n not in wrong})


async def newest(session: AsyncSession) -> SettingsVersion | None:
    """The choice that holds; None when nothing was ever chosen."""
    query = select(SettingsVersion).order_by(SettingsVersion.version.desc()).limit(1)
    return (await session.scalars(query)).first()


class CurrentSettings:
    """The settings of this process, as they are now."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._listeners: list[Callable[[], None]] = []
        self._chosen: Mapping[str, Any] = {}
        self._reading = asyncio.Lock()
        self.fixed = fixed_by(settings)
        # Of the choice that holds here; 0 before any is known.
        self.version = 0
        self.now = effective(settings, {})

    def on_change(self, tell: Callable[[], None]) -> None:
        """Call `tell` after each change, for what cannot wait until it asks."""
        self._listeners.append(tell)

    def take(self, version: int, chosen: Mapping[str, Any]) -> None:
        """Hold to this choice."""
        # Not only newer ones: a restored backup brings back an older one.
        if version == self.version and chosen == self._chosen:
            return
        self.now = effective(self._settings, chosen)
        self.version, self._chosen = version, chosen
        log.info("settings_applied", version=version)
        for tell in self._listeners:
            tell()

    async def refresh(self, database: Database) -> None:
        """Read the choice that holds. Raises Unavailable."""
        # One at a time, or an answer that was overtaken would undo a newer one.
        async with self._reading, database.session() as session:
            row = await newest(session)
            self.take(*((0, {}) if row is None else (row.version, row.chosen)))


async def follow(service: Service, database: Database, bus: Bus) -> CurrentSettings:
    """The settings of a service, kept up to date for as long as it lives.

    Without a database it begins with the environment's and reads them as soon as there is one.
    """
    current = CurrentSettings(service.settings)
    version = Gauge(
        "footlight_settings_version",
        "The version of the instance settings that holds in this process.",
        registry=service.metrics.registry,
    )
    version.set_function(lambda: current.version)
    wake = asyncio.Event()
    await bus.overhear(SettingsChanged, wake.set)
    with contextlib.suppress(Unavailable):
        await current.refresh(database)
    service.spawn(_keep(current, database, wake), "settings")
    return current


async def _keep(current: CurrentSettings, database: Database, wake: asyncio.Event) -> None:
    while True:
        obey_cancellation()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(wake.wait(), LOOK_S)
        wake.clear()
        try:
            await current.refresh(database)
        except Unavailable as error:
            log.debug("settings_wait", reason=error.message)
            wake.set()
            await asyncio.sleep(RETRY_S)
