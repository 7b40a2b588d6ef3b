from __future__ import annotations

from pathlib import Path

import pytest

from cli.toolchain import CHROMIUM_SCRIPT, MissingProgram, Toolchain


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\necho thing version 12.3\n")
    path.chmod(0o755)
    return path


def test_unpacked_programs_find_their_libraries(tmp_path: Path) -> None:
    nginx = program(tmp_path / "pkgs/usr/sbin/nginx")
    for folder in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"):
        (tmp_path / "pkgs" / folder).mkdir(parents=True)
    found = Toolchain(tmp_path).program("nginx")
    assert found.path == nginx
    assert found.environment["LD_LIBRARY_PATH"].split(":") == [
        str(tmp_path / "pkgs/usr/lib/x86_64-linux-gnu"),
        str(tmp_path / "pkgs/lib/x86_64-linux-gnu"),
    ]
    assert found.version() == "12.3"


def test_the_newest_postgresql_is_taken(tmp_path: Path) -> None:
    program(tmp_path / "pkgs/usr/lib/postgresql/9/bin/initdb")
    newest = program(tmp_path / "pkgs/usr/lib/postgresql/17/bin/initdb")
    program(tmp_path / "pkgs/usr/lib/postgresql/15/bin/initdb")
    assert Toolchain(tmp_path).program("initdb").path == newest


def test_links_to_packages_are_followed_once(tmp_path: Path) -> None:
    program(tmp_path / "old/usr/sbin/nginx")
    (tmp_path / "pkgs").symlink_to("old")
    toolchain = Toolchain(tmp_path)
    assert toolchain.program("nginx").path == tmp_path / "old/usr/sbin/nginx"


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingProgram, match="no-such-program is missing"):
        Toolchain(tmp_path).program("no-such-program")


def test_modules_come_in_the_order_in_which_they_load(tmp_path: Path) -> None:
    for name in (
        *("ngx_rtmp_module.so", "ngx_http_lua_module.so", "ndk_http_module.so"),
        "ngx_stream_module.so",
    ):
        program(tmp_path / "pkgs/usr/lib/nginx/modules" / name)
    names = [path.name for path in Toolchain(tmp_path).nginx_modules()]
    assert names.index("ndk_http_module.so") < names.index("ngx_http_lua_module.so")


def test_chromium_is_started_by_the_script_that_came_with_it(tmp_path: Path) -> None:
    script = program(tmp_path / "pkgs-test" / CHROMIUM_SCRIPT)
    assert Toolchain(tmp_path).chromium() == script


def test_the_environment_names_the_toolchain() -> None:
    named = {"FOOTLIGHT_TOOLCHAIN": "/a"}
    assert Toolchain.from_environment(named).root == Path("/a")
    view = {**named, "FOOTLIGHT_TOOLCHAIN_VIEW": "/a/views/1"}
    assert Toolchain.from_environment(view).root == Path("/a/views/1")
