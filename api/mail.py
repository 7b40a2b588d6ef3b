"""Mail: composed as plain text and HTML, sent by workers of their own so that nobody waits for a
mail server.
"""

from __future__ import annotations

import asyncio
import html
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formataddr, formatdate, make_msgid
from urllib.parse import unquote, urlsplit

import aiosmtplib
from prometheus_client import Counter

from core.errors import Unavailable
from core.instance_settings import CurrentSettings
from core.logs import logger
from core.metrics import Metrics
from core.settings import Settings

log = logger(__name__)

QUEUE = 1000
WORKERS = 2
# Pauses before the second and third attempt, seconds.
RETRY_S = (2.0, 10.0)

Letter = Callable[[], Awaitable["Mail | None"]]


@dataclass(frozen=True)
class Mail:
    """A message in words: paragraphs of plain text, and at most one link that stands as a button in
    HTML.
    """

    to: str
    subject: str
    paragraphs: tuple[str, ...]
    button: tuple[str, str] | None = None

    def __repr__(self) -> str:
        return f"Mail(subject={self.subject!r})"


@dataclass(frozen=True)
class MailServer:
    """What `smtp_url` says."""

    host: str
    port: int
    username: str | None
    password: str | None
    implicit_tls: bool

    def __repr__(self) -> str:
        return f"MailServer({self.host}:{self.port})"

    @classmethod
    def parse(cls, url: str) -> MailServer:
        """From `smtp://` (STARTTLS when offered, port 587 with a user, else 25) or `smtps://`
        (465).

        Raises ValueError for anything else.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("smtp_url has to be smtp://host or smtps://host")
        implicit = parts.scheme == "smtps"
        return cls(
            host=parts.hostname,
            port=parts.port or (465 if implicit else 587 if parts.username else 25),
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            implicit_tls=implicit,
        )


def compose(mail: Mail, instance_name: str, sender: str) -> EmailMessage:
    """The message as it is sent: text/plain with a text/html alternative, nothing loaded from
    anywhere.
    """
    message = EmailMessage()
    message["From"] = formataddr((instance_name, sender))
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    # Other machines' automatic answers are not wanted (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    lines = list(mail.paragraphs)
    if mail.button is not None:
        lines.insert(1, f"{mail.button[0]}:\n{mail.button[1]}")
    message.set_content("\n\n".join([*lines, f"-- \n{instance_name}"]) + "\n")
    message.add_alternative(_html(mail, instance_name), subtype="html")
    return message


def _html(mail: Mail, instance_name: str) -> str:
    blocks = [f'<p style="margin:0 0 16px">{html.escape(text)}</p>' for text in mail.paragraphs]
    if mail.button is not None:
        label, url = map(html.escape, mail.button)
        blocks.insert(
            1,
            f'<p style="margin:0 0 16px"><a href="{url}" style="display:inline-block;padding:10px 18px;'
            f'border-radius:8px;background:#5b4be1;color:#ffffff;text-decoration:none">{label}</a></p>'
            f'<p style="margin:0 0 16px;font-size:13px;color:#55555f">{url}</p>',
        )
    return (
        '<!doctype html><html lang="en"><body style="margin:0;padding:24px;'
        'font:16px/1.5 system-ui,sans-serif;color:#18181b;background:#ffffff">'
        f'<div style="max-width:520px">{"".join(blocks)}'
        f'<p style="margin:24px 0 0;font-size:13px;color:#55555f">{html.escape(instance_name)}</p>'
        "</div></body></html>\n"
    )


class Mailer:
    """A bounded queue of letters and the workers that send them."""

    def __init__(self, settings: Settings, current: CurrentSettings, metrics: Metrics) -> None:
        self._server = MailServer.parse(settings.smtp_url) if settings.smtp_url else None
        self._current = current
        self._sender = settings.mail_sender
        self._timeout = settings.request_timeout_s
        self._queue: asyncio.Queue[Letter] = asyncio.Queue(QUEUE)
        self._sent = Counter(
            "footlight_mails",
            "Mails by result: sent, refused, failed.",
            ("result",),
            registry=metrics.registry,
        )

    @property
    def enabled(self) -> bool:
        """Whether there is a mail server."""
        return self._server is not None

    def post(self, letter: Letter) -> None:
        """Have `letter` called and what it gives sent, soon. Raises Unavailable when too many wait.

        A letter is a coroutine function, so that work that would tell by its duration whether an
        address is known happens out of the asker's sight.
        """
        if not self.enabled:
            return
        try:
            self._queue.put_nowait(letter)
        except asyncio.QueueFull as error:
            raise Unavailable("No more mail can be sent now.", retry_after=60) from error

    def send(self, mail: Mail) -> None:
        """Have `mail` sent, soon; dropped with a log line when too many wait."""

        async def letter() -> Mail:
            return mail

        try:
            self.post(letter)
        except Unavailable:
            log.error("mail_dropped", subject=mail.subject)

    async def work(self) -> None:
        """Send letters until cancelled."""
        while True:
            letter = await self._queue.get()
            try:
                mail = await letter()
                if mail is not None:
                    await self._deliver(mail)
            except Exception:
                log.exception("letter_failed")
                self._sent.labels("failed").inc()
            finally:
                self._queue.task_done()

    async def drain(self) -> None:
        """Wait until nothing is queued or being sent."""
        await self._queue.join()

    async def deliver(self, mail: Mail) -> None:
        """Send `mail` now, for somebody who tries again later. Raises Unavailable for what passes; what
        the server refuses for good is logged and dropped.
        """
        if self._server is None:
            return
        try:
            await self._send(
                self._server, compose(mail, self._current.now.instance_name, self._sender)
            )
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            if _is_final(error):
                log.warning("mail_refused", subject=mail.subject, error=type(error).__name__)
                self._sent.labels("refused").inc()
                return
            self._sent.labels("failed").inc()
            # Not at once: whoever asked would try without a pause.
            await asyncio.sleep(RETRY_S[0])
            raise Unavailable("The mail server does not answer.") from error
        self._sent.labels("sent").inc()

    async def _deliver(self, mail: Mail) -> None:
        if self._server is None:
            return
        message = compose(mail, self._current.now.instance_name, self._sender)
        for pause in (*RETRY_S, None):
            try:
                await self._send(self._server, message)
            except (aiosmtplib.SMTPResponseException, aiosmtplib.SMTPRecipientsRefused) as error:
                if _is_final(error) or pause is None:
                    code = getattr(error, "code", 550)
                    log.warning("mail_refused", subject=mail.subject, code=code)
                    self._sent.labels("refused").inc()
                    return
            except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
                if pause is None:
                    log.error("mail_failed", subject=mail.subject, error=type(error).__name__)
                    self._sent.labels("failed").inc()
                    return
            else:
                self._sent.labels("sent").inc()
                return
            await asyncio.sleep(pause)

    async def _send(self, server: MailServer, message: EmailMessage) -> None:
        await aiosmtplib.send(
            message,
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            use_tls=server.implicit_tls,
            # None: STARTTLS when the server offers it. With a password it has to.
            start_tls=None if server.username is None else not server.implicit_tls,
            tls_context=ssl.create_default_context(),
            timeout=self._timeout * 2,
        )


def _is_final(error: BaseException) -> bool:
    """Whether the server will never take this mail: 5xx. 4xx is not now."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return True
    return isinstance(error, aiosmtplib.SMTPResponseException) and error.code >= 500


@asynccontextmanager
async def open_mailer(
    settings: Settings, current: CurrentSettings, metrics: Metrics
) -> AsyncIterator[Mailer]:
    """A mailer with its workers. Raises ValueError for a wrong `smtp_url`."""
    mailer = Mailer(settings, current, metrics)
    workers = [asyncio.create_task(mailer.work(), name=f"mail-{n}") for n in range(WORKERS)]
    try:
        yield mailer
    finally:
        try:
            async with asyncio.timeout(settings.drain_s / 2):
                await mailer.drain()
        except TimeoutError:
            log.warning("mails_left_behind")
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
