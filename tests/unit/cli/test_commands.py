from __future__ import annotations

from pathlib import Path

import pytest

from cli.bootstrap import _with_data
from cli.commands import parse


def test_up_has_the_documented_defaults() -> None:
    options = parse(["up"])
    assert (options.host, options.http_port, options.rtmp_port) == ("127.0.0.1", 8080, 1935)
    assert options.data is None
    assert options.irc_port is None
    assert not options.no_setup


def test_nothing_at_all_shows_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_status:
        parse([])
    assert exit_status.value.code == 0
    text = capsys.readouterr().out
    for command in ("up", "test", "demo", "status", "admin", "doctor", "bench", "update"):
        assert f"    {command} " in text
    assert "prepare" not in text


@pytest.mark.parametrize("port", ("0", "65536", "-1", "http", "80.5", ""))
def test_ports_are_checked_before_anything_is_fetched(port: str) -> None:
    with pytest.raises(SystemExit):
        parse(["up", "--http-port", port])


@pytest.mark.parametrize("seconds", ("0", "-3", "soon", "nan"))
def test_a_demo_lasts_a_time(seconds: str) -> None:
    with pytest.raises(SystemExit):
        parse(["demo", "--seconds", seconds])


@pytest.mark.parametrize(
    "rest", (["-m", "faults"], ["-x", "tests/unit"], ["--lf"], ["-k", "a or b"], [])
)
def test_arguments_of_pytest_are_passed_on_untouched(rest: list[str]) -> None:
    options = parse(["test", *rest])
    assert options.command == "test"
    assert options.rest == rest


def test_benchmarks_keep_their_own_options() -> None:
    assert parse(["bench", "edge", "--json", "--help"]).rest == ["edge", "--json", "--help"]


def test_the_admin_needs_a_task() -> None:
    with pytest.raises(SystemExit):
        parse(["admin"])
    options = parse(["admin", "create-user", "alice", "--email", "a@example.org"])
    assert (options.task, options.login, options.role) == ("create-user", "alice", "viewer")


@pytest.mark.parametrize(
    "given",
    (
        ["up", "--data", "here", "--http-port", "1"],
        ["up", "--http-port", "1", "--data=here"],
        ["up", "--http-port", "1"],
    ),
)
def test_the_data_folder_is_passed_on_by_its_absolute_path(given: list[str]) -> None:
    assert _with_data(given, Path("/abs")) == ["up", "--data", "/abs", "--http-port", "1"]
