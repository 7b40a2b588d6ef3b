from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from cli.fallback import install_script
from cli.index import index_url, wheel_url
from cli.pieces import run
from cli.python_environment import uv_wheel
from cli.setup import Setup, SetupFailed
from cli.source import source_files, tree_hash

SOURCE = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("machine", ("x86_64", "aarch64"))
def test_the_lock_pins_uv_for_every_processor_we_name(machine: str) -> None:
    lock = tomllib.loads((SOURCE / "uv.lock").read_text())
    package = next(package for package in lock["package"] if package["name"] == "uv")
    wheel = uv_wheel(package, machine)
    assert wheel["hash"].startswith("sha256:")
    assert "manylinux" in wheel["url"]
    assert machine in wheel["url"]


def test_an_unknown_processor_is_told_what_to_do() -> None:
    with pytest.raises(SetupFailed, match="docker compose up"):
        uv_wheel({"wheels": []}, "sparc64")


def test_a_program_that_failed_is_shown_from_its_reason_to_its_end(tmp_path: Path) -> None:
    script = "echo the reason; seq 1000 1099; echo the end; exit 3"
    with pytest.raises(SetupFailed) as failed:
        run("Web pages", ["sh", "-c", script], dict(os.environ), tmp_path)
    said = str(failed.value).splitlines()
    assert said[0] == "Web pages: sh failed with status 3."
    assert (said[1].strip(), said[-1].strip()) == ("the reason", "the end")
    assert "    1050" not in said


def test_what_is_built_is_not_source(tmp_path: Path) -> None:
    for name in ("core/a.py", "web/node_modules/x.js", ".git/HEAD", "web/dist/index.html"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data/footlight-data").touch()
    (tmp_path / "data/huge").touch()
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert [str(file.relative_to(tmp_path)) for file in source_files(tmp_path)] == ["core/a.py"]


def test_a_tree_is_known_by_names_contents_and_execute_bits(tmp_path: Path) -> None:
    file = tmp_path / "run"
    file.write_text("one")

    def now() -> str:
        return tree_hash(source_files(tmp_path), tmp_path)

    seen = [now()]
    file.write_text("two")
    seen.append(now())
    file.chmod(0o755)
    seen.append(now())
    file.rename(tmp_path / "walk")
    seen.append(now())
    assert len(set(seen)) == 4
    assert now() == seen[-1]


def test_tests_and_up_have_pieces_of_their_own(tmp_path: Path) -> None:
    up, tests = (Setup(SOURCE, tmp_path, tests=tests) for tests in (False, True))
    assert up.view != tests.view
    assert up.packages == tests.packages
    assert up.web == tests.web
    assert "pkgs-test" not in up.pieces
    assert not list(tmp_path.iterdir())


def test_an_incomplete_view_is_not_used(tmp_path: Path) -> None:
    setup = Setup(SOURCE, tmp_path, tests=False)
    setup.view.mkdir(parents=True)
    assert not setup.hold()


@pytest.mark.parametrize(
    ("environment", "index"),
    (
        ({}, None),
        ({"PIP_INDEX_URL": "https://pypi.org/simple/"}, None),
        ({"PIP_INDEX_URL": "https://a/simple"}, "https://a/simple"),
        ({"PIP_INDEX_URL": "https://a/", "UV_INDEX_URL": "https://b/"}, "https://b/"),
        ({"UV_DEFAULT_INDEX": "https://c/", "UV_INDEX_URL": "https://b/"}, "https://c/"),
    ),
)
def test_the_users_package_index(environment: dict[str, str], index: str | None) -> None:
    assert index_url(environment, files=()) == index


def test_pips_own_configuration_counts_when_the_environment_is_silent(tmp_path: Path) -> None:
    (tmp_path / "first").write_text("[global]\nindex-url = https://system/simple\n")
    (tmp_path / "second").write_text("[global]\nindex-url = https://user/simple\n")
    (tmp_path / "broken").write_text("not = a [section\n")
    files = [tmp_path / name for name in ("first", "second", "broken", "missing")]
    assert index_url({}, files) == "https://user/simple"


def test_without_an_index_the_locked_address_is_used() -> None:
    assert wheel_url("https://files/uv-1-py3.whl", None) == "https://files/uv-1-py3.whl"


def test_services_are_masked_before_their_packages_are_installed() -> None:
    lines = install_script(("nginx", "postgresql")).splitlines()
    install = next(number for number, line in enumerate(lines) if "apt-get install" in line)
    masks = [number for number, line in enumerate(lines) if "systemctl mask" in line]
    assert len(masks) == 2
    assert max(masks) < install
    assert any("create_main_cluster = false" in line for line in lines[:install])
    # The user's own nginx is left alone.
    assert all("dpkg -s" in lines[number] for number in masks)
