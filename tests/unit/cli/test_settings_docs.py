from __future__ import annotations

from cli.settings_docs import DOCUMENT, EXAMPLE, document, example
from core.settings import Settings


def test_documentation_is_up_to_date() -> None:
    assert DOCUMENT.read_text() == document(), "run ./footlight settings-docs"
    assert EXAMPLE.read_text() == example(), "run ./footlight settings-docs"


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    for name in Settings.model_fields:
        assert f"FOOTLIGHT_{name.upper()}" in document()
        assert f"#FOOTLIGHT_{name.upper()}=" in example()


def test_no_secret_has_a_default() -> None:
    for line in example().splitlines():
        if "SECRET" in line or "PASSWORD" in line:
            assert line.endswith("=") or line.startswith("# ")


def test_nothing_of_this_machine_gets_into_the_documentation() -> None:
    import socket

    assert "#FOOTLIGHT_NODE_ID=\n" in example()
    assert f"`{socket.gethostname()}`" not in document()
