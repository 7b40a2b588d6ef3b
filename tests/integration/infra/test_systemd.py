"""The systemd units: what `systemd-analyze` says, and that they run the same commands as the containers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pydantic import SecretStr

from cli.servers import S3_MEMORY
from core.settings import PREFIX, Settings
from tests.compose_kit import raw
from tests.harness import SOURCE

UNITS = SOURCE / "infra/systemd"
SERVICES = sorted(UNITS.glob("*.service"))
COMMON = (UNITS / "footlight-.service.d/sandbox.conf").read_text()
PYTHON = "/opt/footlight/venv/bin/python"


def assignments(text: str) -> list[str]:
    return re.findall(r"^([A-Za-z]+)=", text, re.MULTILINE)


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.stem)
def test_nothing_common_is_said_again(unit: Path) -> None:
    """The common folder is read after the unit, and would win."""
    lists = {"Environment", "ReadWritePaths", "RuntimeDirectory"}
    assert not set(assignments(unit.read_text())) & set(assignments(COMMON)) - lists
    text = unit.read_text()
    for name in ("Restart", "CapabilityBoundingSet", "RestrictNamespaces", "MemoryMax"):
        assert re.search(rf"^{name}=", text, re.MULTILINE), name


def test_commands_are_those_of_the_containers() -> None:
    ours = {
        " ".join([PYTHON, *service["command"][1:]])
        for service in raw()["services"].values()
        if service.get("command", [""])[0] == "python"
    }
    started = set()
    for unit in SERVICES:
        started |= set(re.findall(r"^ExecStart=(.+)$", unit.read_text(), re.MULTILINE))
    assert ours <= started


def test_target_starts_what_is_enabled_only() -> None:
    """docs/install.md names what an admin may leave out."""
    assert not re.search(
        r"^(Wants|Requires|Upholds)=", (UNITS / "footlight.target").read_text(), re.M
    )
    for unit in SERVICES:
        if unit.stem != "footlight-prepare":
            assert "\nWantedBy=footlight.target\n" in unit.read_text()
    page = (SOURCE / "docs/install.md").read_text()
    enabled = re.search(r"enable --now footlight\.target footlight-\{([a-z0-9,]+)\}", page)
    assert enabled is not None
    assert {f"footlight-{name}" for name in enabled[1].split(",")} <= {u.stem for u in SERVICES}


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.stem)
def test_failed_or_restarted_migration_takes_nobody_along(unit: Path) -> None:
    """And nobody starts on a schema that is not migrated."""
    text = unit.read_text()
    assert not re.search(r"^(Requires|BindsTo|Requisite|PartOf)=.*footlight-prepare", text, re.M)
    if "After=footlight-prepare.service\n" in text:
        assert "\nWants=footlight-prepare.service\n" in text
        assert re.search(r"^ExecStartPre=\+.* is-active footlight-prepare\.service$", text, re.M)
        assert "\nRestart=always\n" in text


def lists(unit: str, name: str) -> set[str]:
    """All words of all of a unit's assignments to `name`."""
    found = re.findall(rf"^{name}=(.*)$", (UNITS / f"{unit}.service").read_text(), re.MULTILINE)
    return {word for line in found for word in line.split()}


@pytest.mark.parametrize("unit", ["footlight-rtmp", "footlight-tls"])
def test_ports_that_need_no_secret_are_given_none(unit: str) -> None:
    secret = {
        f"{PREFIX}{name.upper()}"
        for name, field in Settings.model_fields.items()
        if field.annotation is SecretStr or not field.repr
    }
    assert lists(unit, "UnsetEnvironment") == secret
    assert not lists(unit, "LoadCredential")
    assert lists(unit, "InaccessiblePaths")


def test_servers_have_no_secret_but_their_own() -> None:
    assert "EnvironmentFile" not in assignments(COMMON)
    for name in ("nats", "s3"):
        assert lists(f"footlight-{name}", "EnvironmentFile") == {f"/etc/footlight/{name}.env"}


def test_object_storage_is_run_as_up_runs_it() -> None:
    text = (UNITS / "footlight-s3.service").read_text()
    assert {"GOGC=25", "RCLONE_CONFIG="} <= lists("footlight-s3", "Environment")
    assert ".rclone_temp_* -delete\n" in text
    # As much as `up` lets it have, and room for what it is given meanwhile.
    assert f"\nMemoryMax={(S3_MEMORY >> 20) + 64}M\n" in text
    # Without a key it would serve everybody on this machine.
    assert re.search("^ExecStartPre=.*test -n .*RCLONE_AUTH_KEY", text, re.MULTILINE)


def test_what_is_live_comes_before_all_else() -> None:
    """As in containers, where everybody's share is 1024 and not 100."""
    for unit in SERVICES:
        name = unit.stem.removeprefix("footlight-")
        shares = raw()["services"].get(name, {}).get("cpu_shares")
        [weight] = lists(unit.stem, "CPUWeight") or {"100"}
        assert (int(weight) > 100, int(weight) < 100) == (
            (shares > 1024, shares < 1024) if shares else (False, False)
        )


def test_systemd_takes_them(tmp_path: Path) -> None:
    """Programs and users are not here: they are put in place of ours."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return  # a machine without systemd; the tests above hold everywhere
    folder = tmp_path / "units"
    shutil.copytree(UNITS, folder)
    for file in (path for path in folder.rglob("*") if path.is_file()):
        text = re.sub(r"/opt/footlight/venv/bin/\S+", "/bin/true", file.read_text())
        file.write_text(re.sub(r"^(User|Group)=.*$", r"\1=root", text, flags=re.MULTILINE))
    names = [str(path) for path in (*folder.glob("*.service"), folder / "footlight.target")]
    run = subprocess.run(
        [analyze, "verify", "--man=no", *names],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"},
        capture_output=True,
        text=True,
        check=False,
    )
    about_ours = [line for line in run.stderr.splitlines() if "footlight" in line]
    assert not about_ours, run.stderr


def test_pages_name_units_that_are_there() -> None:
    units = {unit.stem for unit in SERVICES}
    for page in ("install", "operations/upgrade", "operations/backup", "operations/monitoring"):
        text = (SOURCE / f"docs/{page}.md").read_text()
        assert not re.search(r"systemctl [a-z-]+ (--now )?footlight(?![-.])", text)
        for line in re.findall(r"systemctl [a-z-]+ .*footlight-.*", text):
            for one, several in re.findall(r"footlight-(?:([a-z0-9]+)|\{(.+?)\})", line):
                assert {f"footlight-{name}" for name in (one or several).split(",")} <= units, line


def test_schema_is_brought_up_before_services_are_restarted() -> None:
    page = (SOURCE / "docs/operations/upgrade.md").read_text()
    after = page.partition("systemctl restart footlight-prepare &&")[2].partition("```")[0]
    restarted = re.search(
        r"for name in ([a-z ]+); do systemctl restart footlight-\$name; done", after
    )
    assert restarted is not None
    # Its streamers reconnect, and then everything else is there.
    assert restarted[1].split()[-1] == "rtmp"


def test_commands_get_the_settings_of_the_units(tmp_path: Path) -> None:
    """The script in the admin's path, with folders of the test's, and without becoming somebody else."""
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\necho "$PWD $FOOTLIGHT_INSTANCE_NAME $FOOTLIGHT_SECRET_KEY $*"\n')
    program.chmod(0o755)
    (tmp_path / "footlight.env").write_text('FOOTLIGHT_INSTANCE_NAME="Two words"\n')
    (tmp_path / "secret_key").write_text("secret\n")
    text = (UNITS / "command").read_text()
    text, dropped = re.subn(r"setpriv .* --no-new-privs ", "", text)
    assert dropped == 1
    for there in (PYTHON, "/opt/footlight/source"):
        text = text.replace(there, str(program if there == PYTHON else tmp_path))
    script = tmp_path / "command"
    script.write_text(text.replace("/etc/footlight/", f"{tmp_path}/"))
    run = subprocess.run(
        ["sh", script, "admin", "create-user"], capture_output=True, text=True, check=True
    )
    assert run.stdout == f"{tmp_path} Two words secret -m cli admin create-user\n"
