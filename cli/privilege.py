"""Giving up root. Standard library only; it runs as root, in a process that becomes the
unprivileged one.

Root is used to make the system user, to hand it the data folder and a copy of the source that it
can read, and then once to become it (setpriv(1) in the place of this process). From there on
nothing differs from an ordinary user's run.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from cli.instance import SetupError, foreign_entry
from cli.source import source_files, tree_hash

USER = "footlight"
HOME = Path("/var/lib/footlight")
KEPT_COPIES = 3
# Its lock says that a copy of the source is in use.
HELD_FILE = "pyproject.toml"


def system_user() -> pwd.struct_passwd:
    """The system user that everything runs as, made when it is missing. Raises SetupError."""
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        pass
    program = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        raise SetupError(
            "There is no useradd to make the user `footlight` with. Run as an ordinary user."
        )
    command = [program, "--system", "--user-group", "--no-create-home", "--home-dir", str(HOME)]
    result = subprocess.run(  # noqa: S603
        [*command, "--shell", "/usr/sbin/nologin", USER],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise SetupError(f"The user `{USER}` cannot be made: {result.stderr.strip()}")
    print(f"Made the system user `{USER}`; everything runs as that user.", flush=True)
    return pwd.getpwnam(USER)


def owned_folder(folder: Path, user: pwd.struct_passwd, *, mode: int = 0o755) -> None:
    """Make `folder` (and its parents, which stay root's) and give it to `user`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=mode, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if os.fstat(descriptor).st_uid != user.pw_uid:
            _give(descriptor, user)
    finally:
        os.close(descriptor)


def _give(descriptor: int, user: pwd.struct_passwd) -> None:
    """Change the owner of a folder and all in it, never following a link out of it."""
    for _, folders, files, here in os.fwalk(".", dir_fd=descriptor):
        for name in (*folders, *files):
            os.chown(name, user.pw_uid, user.pw_gid, dir_fd=here, follow_symlinks=False)
    os.fchown(descriptor, user.pw_uid, user.pw_gid)


def claim_data_folder(data: Path, user: pwd.struct_passwd) -> None:
    """Give the data folder to `user`. Raises SetupError when it is something else than a data
    folder.
    """
    found = foreign_entry(data)
    if found:
        raise SetupError(
            f"{data} is not empty and not a Footlight data folder (it holds {found}).\n"
            "Name an empty or new folder with --data."
        )
    owned_folder(data, user, mode=0o700)


def copied_source(source: Path, parent: Path) -> Path:
    """A copy of the source below `parent` that every user can read and only root can write.

    Named by its content, so that it is made once, and a running instance keeps the code that it
    started with. `parent` is made by root; when it lies in a folder of the unprivileged user, it
    could have been put there by that user, and is then refused.
    """
    parent.mkdir(mode=0o755, exist_ok=True)
    descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        info = os.fstat(descriptor)
        if info.st_uid != 0 or stat.S_IMODE(info.st_mode) & 0o022:
            raise SetupError(f"{parent} does not belong to root alone. Remove it.")
        files = list(source_files(source))
        name = tree_hash(files, source)
        inside = Path(f"/proc/self/fd/{descriptor}")
        if not (inside / name).is_dir():
            _copy(source, files, inside / f"{name}.new-{os.getpid()}", inside / name)
        os.utime(inside / name)
        _remove_old_copies(inside, keep=name)
    finally:
        os.close(descriptor)
    return parent / name


def _copy(source: Path, files: Sequence[Path], draft: Path, target: Path) -> None:
    draft.mkdir(mode=0o755)
    for file in files:
        place = draft / file.relative_to(source)
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        shutil.copyfile(file, place)
        place.chmod(0o755 if os.access(file, os.X_OK) else 0o644)
    for folder, _, _ in os.walk(draft):
        Path(folder).chmod(0o755)
    try:
        draft.rename(target)
    except OSError:
        # Another launcher was quicker.
        shutil.rmtree(draft)


def hold(source: Path) -> None:
    """Keep a copy of the source from being removed while this process, or what it becomes, lives."""
    descriptor = os.open(source / HELD_FILE, os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    fcntl.flock(descriptor, fcntl.LOCK_SH)


def _remove_old_copies(folder: Path, keep: str) -> None:
    """All but the few that were used last and those that a process holds."""
    copies = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for copy in copies[KEPT_COPIES:]:
        if copy.name != keep and not _is_held(copy):
            shutil.rmtree(copy, ignore_errors=True)


def _is_held(copy: Path) -> bool:
    try:
        with (copy / HELD_FILE).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        # Never finished.
        return False
    except BlockingIOError:
        return True
    return False


def can_reach(folder: Path, user: pwd.struct_passwd) -> bool:
    """Whether `user` may read, write and enter `folder`: a parent may be closed to others."""
    command = [
        *_become(user),
        "test",
        "-r",
        str(folder),
        "-a",
        "-w",
        str(folder),
        "-a",
        "-x",
        str(folder),
    ]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603


def _become(user: pwd.struct_passwd, *, low_ports: bool = False) -> list[str]:
    command = [
        "setpriv",
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--init-groups",
        "--no-new-privs",
    ]
    if low_ports:
        command += ["--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service"]
    return command


def user_environment(user: pwd.struct_passwd, home: Path) -> dict[str, str]:
    """The environment of the unprivileged process: ours, without what belongs to root's login."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("XDG_", "PYENV", "PYTHON", "SUDO_"))
    }
    return {**kept, "HOME": str(home), "USER": user.pw_name, "LOGNAME": user.pw_name}


def become_and_run(
    argv: Sequence[str],
    user: pwd.struct_passwd,
    environment: Mapping[str, str],
    *,
    low_ports: bool = False,
    mount: tuple[Path, Path] | None = None,
) -> None:
    """Replace this process by `argv` run as `user`. Returns only by raising.

    `mount` (folder, mount point) binds a folder that the user cannot reach to a place that it can,
    in a mount namespace of this process and its children alone.
    """
    command = [*_become(user, low_ports=low_ports), "--", *argv]
    if mount is not None:
        folder, point = mount
        point.mkdir(mode=0o755, parents=True, exist_ok=True)
        script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
        command = [
            "unshare",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
            str(folder),
            str(point),
            *command,
        ]
    os.chdir("/")
    os.execvpe(command[0], command, dict(environment))  # noqa: S606


def run_tests(
    source: Path,
    argv: Sequence[str],
    user: pwd.struct_passwd,
    environment: Mapping[str, str],
    compiled: Path,
) -> int:
    """Run `argv` as `user` in a fresh copy of the source that is removed afterwards; its exit
    status.

    The copy, the home folder and all temporary files lie in one new folder. What Python compiles of it goes
    below `compiled`.
    """
    folder = Path(tempfile.mkdtemp(prefix="footlight-test-"))
    try:
        folder.chmod(0o755)
        copy = folder / "source"
        _copy(source, list(source_files(source)), folder / "source.new", copy)
        for name in ("home", "tmp"):
            (folder / name).mkdir(mode=0o700)
            os.chown(folder / name, user.pw_uid, user.pw_gid)
        inside = {**environment, "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}
        command = [
            *_become(user),
            "--pdeathsig=TERM",
            "--",
            *(part.replace(str(source), str(copy)) for part in argv),
        ]
        process = subprocess.Popen(command, cwd=copy, env=inside)  # noqa: S603
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda received, _: process.send_signal(received))
        return process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        # By whom it belongs to: root follows nobody's links.
        useless = compiled / folder.relative_to("/")
        subprocess.run([*_become(user), "rm", "-rf", "--", str(useless)], check=False)  # noqa: S603


def interpreter() -> str:
    """The Python that the launcher has found to serve the unprivileged user too."""
    return os.path.realpath(sys.executable)
