"""Keeping processes running, where no process is needed to show it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from pathlib import Path

import pytest

from cli import supervisor as supervising
from cli.child import Child, output_pipe
from cli.process import ProcessSpec
from cli.supervisor import ManagedProcess, Supervisor


async def test_a_probe_that_fails_is_no_answer(tmp_path: Path) -> None:
    """It says so, and ends nothing: keepers that end take the instance with them."""
    said: list[tuple[str, str]] = []
    supervisor = Supervisor(tmp_path, tmp_path, lambda title, event: said.append((title, event)))
    log = supervisor.log("one")
    spec = ProcessSpec(name="one", title="One", argv=("true",), cwd=tmp_path)
    process = ManagedProcess(spec, supervisor, log)

    async def broken() -> bool:
        raise TimeoutError("closing took too long")

    assert not await process.asked(broken)
    log.close()
    assert said == [("One", "cannot be asked: TimeoutError('closing took too long')")]


async def test_what_has_outgrown_its_memory_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "PROBE_INTERVAL_S", 0.01)
    said: list[str] = []
    supervisor = Supervisor(tmp_path, tmp_path, lambda _title, event: said.append(event))
    with output_pipe() as (output, writer):
        popen = subprocess.Popen(  # noqa: ASYNC220
            ("sleep", "60"), stdout=writer, start_new_session=True
        )
    child = Child(popen, output, supervisor.log("one"))
    asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, child.poll)
    assert 0 < child.memory() < 10 * 2**20
    spec = ProcessSpec("one", "One", ("sleep", "60"), tmp_path, most_memory=10 * 2**20)
    process = ManagedProcess(spec, supervisor, supervisor.log("one"))
    watching = asyncio.create_task(process._watch(child))
    await asyncio.sleep(0.1)
    assert not watching.done()
    with monkeypatch.context() as patch:
        patch.setattr(child, "memory", lambda: 11 * 2**20)
        await asyncio.wait_for(watching, 10)
    asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)
    supervisor.log("one").close()
    assert popen.returncode == -signal.SIGTERM
    assert said == ["has outgrown its memory"]
    assert child.memory() == 0
