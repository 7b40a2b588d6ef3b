"""Mail as it is composed."""

from __future__ import annotations

import pytest

from api.accounts import letters
from api.mail import Mail, MailServer, compose


def test_plain_and_html() -> None:
    mail = letters.reset("a@b.c", "ann", "https://tv.example/reset#token=flp_x", "TV & <Me>", 60)
    message = compose(mail, "TV & <Me>", "tv@example.org")
    assert message["To"] == "a@b.c"
    assert message["From"] == '"TV & <Me>" <tv@example.org>'
    assert message["Message-ID"].endswith("@example.org>")
    assert message["Auto-Submitted"] == "auto-generated"
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None and html is not None
    assert "https://tv.example/reset#token=flp_x" in plain.get_content()
    assert "60 minutes" in plain.get_content()
    assert 'href="https://tv.example/reset#token=flp_x"' in html.get_content()
    assert "TV &amp; &lt;Me&gt;" in html.get_content()
    assert "<Me>" not in html.get_content()


def test_a_line_break_cannot_make_a_header() -> None:
    with pytest.raises(ValueError):
        compose(Mail("a@b.c\nBcc: d@e.f", "Hi", ("x",)), "TV", "tv@example.org")


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", MailServer("mail.example", 25, None, None, False)),
        ("smtp://u:p%40@mail.example", MailServer("mail.example", 587, "u", "p@", False)),
        ("smtps://u:p@mail.example", MailServer("mail.example", 465, "u", "p", True)),
        ("smtp://127.0.0.1:2525", MailServer("127.0.0.1", 2525, None, None, False)),
    ],
)
def test_mail_servers(url: str, server: MailServer) -> None:
    assert MailServer.parse(url) == server
    assert "p@" not in repr(server)


@pytest.mark.parametrize("url", ["mail.example", "http://mail.example", "smtp://"])
def test_wrong_mail_servers(url: str) -> None:
    with pytest.raises(ValueError):
        MailServer.parse(url)
