"""The mails about accounts."""

from __future__ import annotations

from api.mail import Mail


def reset(to: str, login: str, url: str, instance: str, minutes: int) -> Mail:
    """How to set a new password."""
    return Mail(
        to,
        f"{instance}: set a new password",
        (
            f"Somebody, probably you, asked for a new password for the account {login}.",
            f"The link works once and for {minutes} minutes.",
            "If it was not you, do nothing: your password stays as it is.",
        ),
        ("Set a new password", url),
    )


def password_changed(to: str, login: str, instance: str) -> Mail:
    """That the password was changed, for the case that its owner did not do it."""
    return Mail(
        to,
        f"{instance}: your password was changed",
        (
            f"The password of the account {login} was just changed, and its other logins were ended.",
            "If it was not you, ask for a new password at once, and tell whoever runs this site.",
        ),
    )


def email_changed(to: str, login: str, instance: str) -> Mail:
    """To the old address: that it is no longer the account's."""
    return Mail(
        to,
        f"{instance}: your e-mail address was changed",
        (
            f"The account {login} now has another e-mail address than this one.",
            "If it was not you, tell whoever runs this site.",
        ),
    )
