"""The mails about accounts."""

from __future__ import annotations

from datetime import datetime

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


def suspended(
    to: str, login: str, scope: str, reason: str, until: datetime | None, url: str, instance: str
) -> Mail:
    """That an account or channel is suspended, why, and how to appeal."""
    what = f"The account {login}" if scope == "account" else f"The channel {login}"
    end = "for good" if until is None else f"until {until:%d %B %Y %H:%M} UTC"
    return Mail(
        to,
        f"{instance}: {what[0].lower()}{what[1:]} is suspended",
        (
            f"{what} was suspended {end}.",
            f"The reason: {reason}",
            "You can log in to appeal once. Somebody else than who suspended you will read it.",
        ),
        ("See the suspension", url),
    )


def appeal_decided(to: str, login: str, decision: str, answer: str, instance: str) -> Mail:
    """What came of an appeal."""
    outcome = {
        "upheld": "It stays as it is.",
        "shortened": "It was shortened.",
        "lifted": "It was lifted.",
    }[decision]
    told = (f"The answer: {answer}",) if answer else ()
    return Mail(
        to,
        f"{instance}: your appeal was decided",
        (f"Your appeal against the suspension of {login} was read. {outcome}", *told),
    )


def warned(to: str, login: str, reason: str, instance: str) -> Mail:
    """That the site's moderators ask somebody to mind the rules."""
    return Mail(
        to,
        f"{instance}: a warning",
        (
            f"The moderators of {instance} looked at a report about {login} and ask you to mind "
            "the rules.",
            f"The reason: {reason}",
        ),
    )
