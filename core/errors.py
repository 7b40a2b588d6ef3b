"""The tree of domain errors. Each carries a stable code; `core.http` (and later the chat's frames)
map them.

    DomainError
    ├── Malformed       the request cannot be read at all
    ├── Invalid         the request's content is wrong; `field` names the part
    ├── Unauthorized    who is asking is not known
    ├── Forbidden       who is asking may not do this
    ├── NotFound        there is no such thing, or none that may be seen
    ├── Conflict        it contradicts what is there
    ├── RateLimited     too often; `retry_after` seconds
    └── Unavailable     something we depend on does not answer; `retry_after` seconds

Codes are part of the public interface: a client decides by them, so they never change. Messages are
English sentences for people and may change.
"""

from __future__ import annotations

from typing import ClassVar


class DomainError(Exception):
    """Something the caller is told about in words.

    Never carries a secret: it is shown and logged.
    """

    default_code: ClassVar[str] = "error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        field: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.field = field
        self.retry_after = retry_after


class Malformed(DomainError):
    """The request cannot be read at all."""

    default_code = "bad_request"


class Invalid(DomainError):
    """The content of a request is not acceptable."""

    default_code = "invalid"


class Unauthorized(DomainError):
    """The caller is not known, or no longer."""

    default_code = "unauthorized"


class Forbidden(DomainError):
    """The caller is known and may not do this."""

    default_code = "forbidden"


class NotFound(DomainError):
    """There is no such thing, or none this caller may know of."""

    default_code = "not_found"


class Conflict(DomainError):
    """The request contradicts the present state."""

    default_code = "conflict"


class RateLimited(DomainError):
    """Too many requests; `retry_after` is always set."""

    default_code = "rate_limited"

    def __init__(self, message: str, *, retry_after: float, code: str | None = None) -> None:
        super().__init__(message, code=code, retry_after=retry_after)


class Unavailable(DomainError):
    """A part that is needed does not answer just now."""

    default_code = "unavailable"

    def __init__(self, message: str, *, retry_after: float = 1, code: str | None = None) -> None:
        super().__init__(message, code=code, retry_after=retry_after)
