"""The values of the two nginx, from the settings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from cli import nginx
from cli.instance import SetupError
from cli.serve_nginx import edge_values, environment_of, ingest_values
from cli.toolchain import Toolchain
from core.settings import Settings


class FoundEverything(Toolchain):
    """A toolchain on a machine where nothing has to be looked for."""

    def nginx_modules(self) -> tuple[Path, ...]:
        return (Path("/modules/ndk_http_module.so"),)

    def lua_package_path(self) -> str:
        return "/lua/?.lua;;"

    def web_root(self) -> Path | None:
        return Path("/built")


TOOLCHAIN = FoundEverything(Path("/toolchain"))


def settings(**changes: object) -> Settings:
    return Settings.model_validate({"secret_key": "s" * 40, **changes})


def test_edge_takes_its_addresses_from_the_settings() -> None:
    values = edge_values(
        settings(
            edge_listen="0.0.0.0:80",
            api_listen="unix:/run/f/a.sock",
            edge_internal_urls="http://edge-2:9001, unix:/run/f/internal.sock",
            chat_processes=2,
            metrics_listen="0.0.0.0:9100",
            edge_playlists_bytes=128 << 20,
        ),
        TOOLCHAIN,
    )
    assert values.listen == "0.0.0.0:80"
    assert values.api_socket == Path("/run/f/a.sock")
    assert values.internal_socket == Path("/run/f/internal.sock")
    chat = [str(path) for path in (*values.chat_sockets, *values.chat_http_sockets)]
    folder = "/run/footlight"
    names = ("chat-ws.sock", "chat-ws-2.sock", "chat.sock", "chat-2.sock")
    assert chat == [f"{folder}/{name}" for name in names]
    assert values.web_root == Path("/built")
    text = nginx.render_edge(values)
    assert "listen 0.0.0.0:9100;" in text
    assert f"lua_shared_dict playlists {128 << 20};" in text
    assert "edge-metrics" not in nginx.render_edge(dataclasses.replace(values, metrics_listen=""))


def test_keys_differ_by_purpose_and_stay_the_same() -> None:
    first, second = (edge_values(settings(), TOOLCHAIN) for _ in range(2))
    assert first.playback_key == second.playback_key != first.media_token_key


def test_services_on_tcp_are_refused() -> None:
    with pytest.raises(SetupError, match="FOOTLIGHT_API_LISTEN"):
        edge_values(settings(api_listen="0.0.0.0:8000"), TOOLCHAIN)
    with pytest.raises(SetupError, match="FOOTLIGHT_EDGE_INTERNAL_URLS"):
        edge_values(settings(edge_internal_urls="http://edge-1:9001"), TOOLCHAIN)


def test_ingest_takes_its_addresses_from_the_settings() -> None:
    values = ingest_values(
        settings(rtmp_listen="0.0.0.0:1936", ingest_nginx_url="http://127.0.0.1:9935"), TOOLCHAIN
    )
    assert (values.rtmp_listen, values.http_port) == ("0.0.0.0:1936", 9935)
    assert values.boot_id != ingest_values(settings(), TOOLCHAIN).boot_id


def test_nginx_gets_no_setting_in_its_environment() -> None:
    ours = {"PATH": "/bin", "FOOTLIGHT_SECRET_KEY": "s"}
    assert environment_of(ours, {"LD_LIBRARY_PATH": "/l"}) == {
        "PATH": "/bin",
        "LD_LIBRARY_PATH": "/l",
    }
