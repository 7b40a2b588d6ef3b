"""The settings of the instance that a command is to act on."""

from __future__ import annotations

import argparse
import os

from pydantic import ValidationError

from cli.instance import SetupError, lock_holder, read_instance, shown
from cli.toolchain import default_data
from core.settings import PREFIX, Settings


def settings_for(arguments: argparse.Namespace) -> Settings:
    """The settings of the instance that runs on `--data`, else those of the environment.

    Raises SetupError when neither is there, or when something in them is wrong.
    """
    data = (arguments.data or default_data(os.environ)).absolute()
    content = read_instance(data) if lock_holder(data) is not None else None
    if content is not None:
        os.environ.update(content["environment"])
    elif "FOOTLIGHT_DATABASE_URL" not in os.environ:
        raise SetupError(f"Nothing runs on {shown(data)}. Start it first: ./footlight up")
    return settings_of_environment()


def settings_of_environment() -> Settings:
    """Those of the environment. Raises SetupError that says what is wrong with them."""
    try:
        return Settings.from_environment()
    except ValidationError as problem:
        raise SetupError(wrong_settings(problem)) from problem
    except ValueError as problem:
        # A file that cannot be read.
        raise SetupError(str(problem)) from problem


def wrong_settings(problem: ValidationError) -> str:
    """What is wrong with settings from the environment, one line each."""
    lines = []
    for error in problem.errors(include_url=False, include_input=False):
        name = "".join(f"{PREFIX}{part}".upper() for part in error["loc"][:1])
        lines.append(f"{name or 'The settings'}: {error['msg']}")
    return "\n".join([*lines, "docs/configuration.md says what each setting takes."])
