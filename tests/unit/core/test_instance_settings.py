"""Which of the environment, an admin's choice and the default holds."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from core.instance_settings import CurrentSettings, InstanceSettings, effective, fixed_by
from core.settings import Settings


def environment(**given: Any) -> Settings:
    return Settings(secret_key=SecretStr("k" * 32), **given)


def test_a_choice_holds_where_the_environment_says_nothing() -> None:
    now = effective(environment(), {"grace_s": 5, "tagline": "Hi"})
    assert (now.grace_s, now.tagline, now.ladder) == (5.0, "Hi", "auto")


def test_the_environment_wins() -> None:
    settings = environment(grace_s=0.5, streaming_open=False)
    assert fixed_by(settings) == {
        "grace_s": "FOOTLIGHT_GRACE_S",
        "who_may_stream": "FOOTLIGHT_STREAMING_OPEN",
    }
    now = effective(settings, {"grace_s": 9, "who_may_stream": "nobody"})
    assert (now.grace_s, now.who_may_stream) == (0.5, "approved")


def test_what_another_release_wrote_is_passed_over() -> None:
    chosen = {"ladder": "sideways", "of_tomorrow": 1, "upload_parallel": 9}
    now = effective(environment(), chosen)
    assert (now.ladder, now.upload_parallel) == ("auto", 9)


@pytest.mark.parametrize(
    "name", sorted(InstanceSettings.model_fields.keys() & Settings.model_fields.keys())
)
def test_limits_are_those_of_the_environment(name: str) -> None:
    ours, theirs = InstanceSettings.model_fields[name], Settings.model_fields[name]
    assert (ours.metadata, ours.default, ours.description, ours.annotation) == (
        theirs.metadata, theirs.default, theirs.description, theirs.annotation,
    )  # fmt: skip


@pytest.mark.parametrize("name", InstanceSettings.model_fields)
def test_every_number_and_text_has_limits(name: str) -> None:
    field = InstanceSettings.model_fields[name]
    if field.annotation in (int, float):
        assert {type(limit).__name__ for limit in field.metadata} & {"Le", "Lt"}
    if field.annotation is str:
        assert any(hasattr(m, "max_length") or hasattr(m, "pattern") for m in field.metadata)


def test_whoever_wants_to_is_told_of_a_change() -> None:
    current = CurrentSettings(environment())
    seen: list[str] = []
    current.on_change(lambda: seen.append(current.now.tagline))
    current.take(1, {"tagline": "a"})
    current.take(1, {"tagline": "a"})
    # A restored backup brings an older one.
    current.take(0, {})
    assert seen == ["a", ""]
