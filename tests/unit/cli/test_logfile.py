from __future__ import annotations

from pathlib import Path

from cli.logfile import LogFile


def test_pieces_of_output_become_lines_of_the_tail(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "api.log")
    for piece in (b"fir", b"st\nsecond\nthi", b"rd\n\n"):
        log.write(piece)
    log.close()
    assert list(log.tail) == ["first", "second", "third"]
    assert log.path.read_bytes() == b"first\nsecond\nthird\n\n"


def test_a_log_is_private_and_is_continued(tmp_path: Path) -> None:
    for text in (b"one\n", b"two\n"):
        log = LogFile(tmp_path / "api.log")
        log.write(text)
        log.close()
    assert log.path.read_bytes() == b"one\ntwo\n"
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_full_files_are_kept_up_to_a_number(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "api.log", limit=10, keep=2)
    for number in range(5):
        log.write(b"line %d..\n" % number)
    log.close()
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert kept == {
        "api.log": b"line 4..\n",
        "api.log.1": b"line 3..\n",
        "api.log.2": b"line 2..\n",
    }


def test_output_without_newlines_does_not_grow_in_memory(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "api.log")
    for _ in range(100):
        log.write(b"x" * 1000)
    log.write(b"\n")
    log.close()
    assert len(log.tail[0]) <= 4096


def test_bytes_that_are_no_text_are_shown_all_the_same(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "api.log")
    log.write(b"\xff\xfe broken\n")
    log.close()
    assert log.tail[0].endswith(" broken")
