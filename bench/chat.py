"""`footlight bench chat`: what a room's fan-out costs, and whether everything arrives, in order and in time.

The chat process is pinned to one core, the load generator and the references' clients to the others. Messages go
the whole way: socket, rules, Redis, fan-out. The references (`bench.chat_reference`) send a payload of the same
size to as many sockets of the same kind, in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import uvloop
from sqlalchemy import insert

from bench.chat_clients import Crowd, Tally, connect, crowd
from bench.instance import ROOT, Instance, running_instance
from bench.report import Report
from core.db.engine import open_database
from core.db.models import Channel, Login, User
from core.settings import Settings
from core.tokens import Tokens

SPEAKERS = 400
# A message as the room sees it: text, name, badges and the rest.
PAYLOAD = 330
SERVER_CORE = 0


@dataclass(frozen=True)
class People:
    """Channels, and tokens of those who speak."""

    channels: list[str]
    tokens: list[str]


async def people(instance: Instance) -> People:
    """Make accounts straight in the database; a thousand registrations are another benchmark."""
    environment = instance.facts["environment"]
    values = {name.removeprefix("FOOTLIGHT_").lower(): value for name, value in environment.items()}
    secret = Path(values["secret_key_file"]).read_text().strip()  # noqa: ASYNC240 (nothing runs yet)
    settings = Settings(database_url=values["database_url"], secret_key=secret)  # type: ignore[arg-type]
    async with open_database(settings) as database:
        tokens = Tokens(database, settings)
        async with database.session() as session:
            names = [f"bench_{secrets.token_hex(6)}" for _ in range(SPEAKERS)]
            rows = [{"login": name, "display_name": name} for name in names]
            ids = list((await session.scalars(insert(User).returning(User.id), rows)).all())
            await session.execute(insert(Channel), [{"id": user_id} for user_id in ids])
            ends = datetime.now(UTC) + timedelta(days=1)
            logins = [{"user_id": user_id, "expires_at": ends} for user_id in ids]
            login_ids = (await session.scalars(insert(Login).returning(Login.id), logins)).all()
        issued = [await tokens.issue(u, n) for u, n in zip(ids, login_ids, strict=True)]
    return People(names, [token for token, _ in issued])


def cpu_s(pid: int) -> float:
    """Processor time of a process and its children that live."""
    total = 0.0
    for each in (pid, *_children(pid)):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def memory(pid: int) -> int:
    """Bytes that a process and its children have for themselves."""
    total = 0
    for each in (pid, *_children(pid)):
        rollup = Path(f"/proc/{each}/smaps_rollup").read_text()
        total += sum(
            int(line.split()[1]) * 1024
            for line in rollup.splitlines()
            if line.startswith(("Private_Clean:", "Private_Dirty:"))
        )
    return total


def _children(pid: int) -> list[int]:
    return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


# --- references -----------------------------------------------------------------------------------


async def reference(kind: str, sockets: int, rate: float, seconds: float) -> float:
    """Deliveries per processor second of a reference."""
    with tempfile.TemporaryDirectory(prefix="flb-") as folder:
        path = f"{folder}/s"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.chat_reference", kind, path),
            *(str(sockets), str(rate), str(seconds), str(PAYLOAD)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        os.sched_setaffinity(process.pid, {SERVER_CORE})
        output = process.stdout
        if output is None or (await output.readline()).strip() != b"ready":
            raise RuntimeError(f"the reference {kind} did not start")
        made = await connect(path, Tally(), sockets)
        for socket in made:
            socket.joined.set()
        result = json.loads(await output.readline())
        await process.wait()
    return float(result["deliveries"] / result["cpu_s"])


# --- runs -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Where sockets connect, and the processes whose time and memory count."""

    name: str
    address: str | tuple[str, int]
    chat: int
    edge: int


def places(instance: Instance) -> list[Place]:
    """The service's own socket, and the public one."""
    environment = instance.facts["environment"]
    own = environment["FOOTLIGHT_CHAT_SOCKET_LISTEN"].removeprefix("unix:")
    web = urlsplit(instance.http)
    chat, edge = instance.pid("chat"), instance.pid("edge")
    return [
        Place("direct", own, chat, edge),
        Place("edge", (str(web.hostname), web.port or 80), chat, edge),
    ]


async def run(
    place: Place,
    known: People,
    sockets: int,
    rooms: int,
    rate: float,
    seconds: float,
    stalled: int = 0,
) -> dict[str, object]:
    """One run: sockets spread over rooms, `rate` messages a second in all."""
    tally = Tally()
    before, edge_before = memory(place.chat), memory(place.edge)
    crowds: list[Crowd] = []
    share = len(known.tokens) // rooms
    for number in range(rooms):
        tokens = known.tokens[number * share : (number + 1) * share]
        channel = known.channels[number]
        crowds.append(await crowd(place.address, tally, channel, sockets // rooms, tokens))
    frozen = await _stalled(place, known.channels[0], stalled)
    await asyncio.sleep(1)
    held, edge_held = memory(place.chat) - before, memory(place.edge) - edge_before
    spent, edge_spent = cpu_s(place.chat), cpu_s(place.edge)
    sent = await asyncio.gather(*(each.talk(rate / rooms, seconds) for each in crowds))
    complete = [await each.heard(n, 10) for each, n in zip(crowds, sent, strict=True)]
    spent, edge_spent = cpu_s(place.chat) - spent, cpu_s(place.edge) - edge_spent
    heard = sum(socket.messages for each in crowds for socket in each.sockets)
    for each in (*crowds, *frozen):
        each.close()
    wanted = sum(n * len(each.sockets) for each, n in zip(crowds, sent, strict=True))
    return {
        "way": place.name,
        "sockets": sockets,
        "rooms": rooms,
        "messages/s": rate,
        "deliveries/CPU s": round(heard / spent),
        "CPU %": round(spent / seconds * 100, 1),
        "edge CPU %": round(edge_spent / seconds * 100, 1) if place.name == "edge" else "",
        "p50 ms": round(percentile(tally.delays_s, 0.5) * 1000, 1),
        "p99 ms": round(percentile(tally.delays_s, 0.99) * 1000, 1),
        "missing": wanted - heard if not all(complete) else 0,
        "wrong order": tally.wrong,
        "KB/socket": round(held / sockets / 1024, 1),
        "edge KB/socket": round(edge_held / sockets / 1024, 1) if place.name == "edge" else "",
    }


async def _stalled(place: Place, channel: str, count: int) -> list[Crowd]:
    """Sockets that join and then read no more."""
    if count == 0:
        return []
    made = await crowd(place.address, Tally(), channel, count, ())
    for socket in made.sockets:
        if socket.transport is not None:
            socket.transport.pause_reading()
    return [made]


async def measure(options: argparse.Namespace) -> Report:
    """Everything that was asked for."""
    report = Report("chat", "Chat: fan-out")
    cores = os.cpu_count() or 1
    others = set(range(1, cores)) or {0}
    os.sched_setaffinity(0, others)
    report.condition(f"chat pinned to core {SERVER_CORE}, load generator to {sorted(others)}")
    report.condition(
        f"best of {options.runs}, {options.seconds:g} s each; direct and references over a unix socket"
    )
    async with running_instance({"FOOTLIGHT_LADDER": "off"}) as instance:
        known = await people(instance)
        os.sched_setaffinity(instance.pid("chat"), {SERVER_CORE})
        for rate in (200.0, 10.0):
            await _beside_references(report, instance, known, rate, options)
        for place in places(instance):
            for rooms, stalled in ((1, 0), (10, 0), (1, 100)):
                row = await run(
                    place, known, options.large, rooms, 50.0, options.large_seconds, stalled
                )
                report.row({**row, "stalled": stalled})
        direct = places(instance)[0]
        for name, cases in (
            ("sockets", [(sockets, 50.0) for sockets in (500, 1000, 2000, 4000)]),
            ("messages/s", [(options.sockets, rate) for rate in (25.0, 50.0, 100.0, 200.0)]),
        ):
            rows = [await run(direct, known, n, 1, rate, options.seconds) for n, rate in cases]
            for row in rows:
                report.row(row)
            report.plot(name, "CPU %", rows)
    return report


async def _beside_references(
    report: Report, instance: Instance, known: People, rate: float, options: argparse.Namespace
) -> None:
    """A room of ours and the references in turn, so that each has as much of the machine's good moments."""
    rates: dict[str, list[float]] = {"broadcast": [], "raw": []}
    runs: dict[str, list[dict[str, object]]] = {}
    for _ in range(options.runs):
        for kind, found in rates.items():
            found.append(await reference(kind, options.sockets, rate, options.seconds))
        for place in places(instance):
            row = await run(place, known, options.sockets, 1, rate, options.seconds)
            runs.setdefault(place.name, []).append(row)
    for kind, found in rates.items():
        row = {"way": kind, "sockets": options.sockets, "messages/s": rate}
        report.row({**row, "deliveries/CPU s": round(max(found))})
    for found_rows in runs.values():
        best = max(found_rows, key=_per_cpu_s)
        ratio = _per_cpu_s(best) / max(rates["broadcast"])
        report.row({**best, "÷ broadcast": f"{ratio:.2f}"})


def _per_cpu_s(row: dict[str, object]) -> int:
    return int(str(row["deliveries/CPU s"]))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="footlight bench chat", description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--large", type=int, default=5000)
    parser.add_argument("--large-seconds", type=float, default=60.0)
    options = parser.parse_args()
    report = uvloop.run(measure(options))
    report.show(options)


if __name__ == "__main__":
    main()
