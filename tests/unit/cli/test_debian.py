from __future__ import annotations

import re

import pytest

from cli.debian import needed, own_sources, private_status

DEB822 = """\
# The distribution
Types: deb deb-src
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib non-free-firmware
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: https://packages.example.org/apt
Suites: nodistro
Components: main

Types: deb
URIs: http://deb.debian.org/debian-security
Suites: bookworm-security
Components: main
Enabled: no
"""


def test_only_the_distributions_own_paragraphs_are_kept() -> None:
    kept = own_sources(DEB822, "bookworm", deb822=True)
    assert kept.count("URIs:") == 1
    assert "Types: deb\n" in kept
    assert "Suites: bookworm bookworm-updates\n" in kept
    assert "Components: main\n" in kept
    # The key is part of the paragraph.
    assert " -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n -----END" in kept


@pytest.mark.parametrize(
    ("line", "kept"),
    (
        ("deb http://deb.debian.org/debian bookworm main", True),
        ("deb [signed-by=/usr/share/keyrings/x.gpg] http://x/debian bookworm main contrib", True),
        ("deb http://security.debian.org/debian-security bookworm-security main", True),
        ("deb http://deb.debian.org/debian stable main # as it comes", True),
        ("deb http://deb.debian.org/debian bookworm-backports main", False),
        ("deb-src http://deb.debian.org/debian bookworm main", False),
        ("deb https://packages.example.org/apt cloud-sdk-bookworm main", False),
        ("deb https://nginx.org/packages/debian bookworm nginx", False),
        ("deb cdrom:[Debian 12]/ bookworm main", False),
        ("# deb http://deb.debian.org/debian bookworm main", False),
        ("", False),
    ),
)
def test_one_line_sources(line: str, kept: bool) -> None:
    assert bool(own_sources(line, "bookworm", deb822=False)) is kept


def test_ubuntus_universe_holds_what_we_need() -> None:
    line = "deb http://archive.ubuntu.com/ubuntu noble main restricted universe multiverse"
    assert own_sources(line, "noble", deb822=False).endswith("noble main universe\n")


def package(name: str, depends: str = "", provides: str = "", status: str = "installed") -> str:
    return (
        f"Package: {name}\nStatus: install ok {status}\nArchitecture: amd64\nVersion: 1\n"
        f"Provides: {provides}\nDepends: {depends}\nDescription: something\n of several lines\n\n"
    )


def names(status: str) -> set[str]:
    return set(re.findall(r"^Package: (.*)$", status, re.MULTILINE))


def test_packages_of_our_own_count_as_not_installed() -> None:
    status = package("libc6") + package("nginx", "libc6") + package("postgresql-15", "libc6")
    assert names(private_status(status)) == {"libc6"}


def test_what_needs_them_goes_too_until_nothing_is_broken() -> None:
    status = (
        package("libc6")
        + package("libpq5", "libc6")
        + package("php-pgsql", "libc6, libpq5 (>= 9)")
        + package("big-application", "php-pgsql | php-mysql")
        + package("editor", "libc6")
    )
    assert names(private_status(status)) == {"libc6", "editor"}


def test_an_alternative_or_a_provider_is_enough() -> None:
    status = (
        package("exim4", provides="mail-transport-agent")
        + package("cron", "exim4 | mail-transport-agent, nginx | exim4")
        + package("mailer", "mail-transport-agent:any")
        + package("nginx")
    )
    assert names(private_status(status)) == {"exim4", "cron", "mailer"}


def test_what_is_not_installed_gives_nothing() -> None:
    status = package("libold", status="config-files") + package("program", "libold")
    assert names(private_status(status)) == set()


def test_kept_paragraphs_stay_as_they_are() -> None:
    status = package("libc6")
    assert private_status(status).strip() == status.strip()


def test_helpers_of_installing_are_not_fetched() -> None:
    simulation = (
        "Inst libpcre3 (2:8.39-15 Debian:12.11/stable [amd64])\n"
        "Inst perl (5.36 Debian:12 [amd64])\n"
        "Inst postgresql-common (248 Debian:12 [all])\n"
        "Inst libc6 [2.36-9] (2.36-10 Debian:12 [amd64])\n"
        "Inst nginx (1.22.1-9 Debian:12 [amd64])\n"
        "Conf nginx (1.22.1-9 Debian:12 [amd64])\n"
    )
    assert needed(simulation) == ["libpcre3", "nginx"]
