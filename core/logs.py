"""Logs: a JSON object per line on stderr, a constant event name plus fields, no secrets."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

# Names whose values are never written, whatever they hold.
_SECRET_NAMES = re.compile(
    r"(password|passwd|secret|token|authorization|cookie|api_?key|access_?key|stream_?key|private_?key|credential)",
    re.I,
)
# Names that only look like it.
_HARMLESS_NAMES = frozenset({"key_id", "token_type", "kid", "stream_key_id"})
# Values that are secrets under any name: stream keys, app tokens, JSON web tokens, refresh and reset
# tokens, URLs with a password.
_SECRET_VALUES = (
    (re.compile(r"\blive_(\d+)_[A-Za-z0-9]{8,}"), r"live_\1_***"),
    (re.compile(r"\bflat_(\d+)_[a-z0-9]{8,}", re.I), r"flat_\1_***"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), "***"),
    (re.compile(r"\b(flr|flp)_[\w-]{16,}"), r"\1_***"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s/@]+@", re.I), r"\1:***@"),
)
BLOT = "***"


def redact(value: Any, depth: int = 0) -> Any:
    """`value` without secrets: strings are searched, names in mappings decide on their values."""
    if isinstance(value, str):
        for pattern, replacement in _SECRET_VALUES:
            value = pattern.sub(replacement, value)
        return value
    if isinstance(value, bytes):
        return redact(value.decode("utf-8", "replace"))
    if depth >= 6:
        return BLOT
    if isinstance(value, MutableMapping):
        return {str(k): _redact_named(str(k), v, depth) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth + 1) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value))


def _redact_named(name: str, value: Any, depth: int) -> Any:
    if _SECRET_NAMES.search(name) and name not in _HARMLESS_NAMES:
        return BLOT
    return redact(value, depth + 1)


def _redact_event(_logger: Any, _method: str, event: EventDict) -> EventDict:
    return {name: _redact_named(name, value, 0) for name, value in event.items()}


def configure(service: str, level: str = "info") -> None:
    """Set up structlog and the standard library's logging for a process.

    Called once, first of all.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _add_service(service),
                _redact_event,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Both narrate every request and reconnect at INFO.
    for noisy in ("botocore", "boto3", "urllib3", "s3transfer", "nats"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _add_service(service: str) -> Processor:
    def add(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    return add


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for the module `name`."""
    bound: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return bound
