"""Keeping processes running, where no process is needed to show it."""

from __future__ import annotations

from pathlib import Path

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
