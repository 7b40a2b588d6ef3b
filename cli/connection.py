"""The settings of the instance that a command is to act on."""

from __future__ import annotations

import argparse
import os

from cli.instance import SetupError, lock_holder, read_instance, shown
from cli.toolchain import default_data
from core.settings import Settings


def settings_for(arguments: argparse.Namespace) -> Settings:
    """The settings of the instance that runs on `--data`, else those of the environment.

    Raises SetupError when neither is there.
    """
    data = (arguments.data or default_data(os.environ)).absolute()
    content = read_instance(data) if lock_holder(data) is not None else None
    if content is not None:
        os.environ.update(content["environment"])
    elif "FOOTLIGHT_DATABASE_URL" not in os.environ:
        raise SetupError(f"Nothing runs on {shown(data)}. Start it first: ./footlight up")
    return Settings.model_validate({})
