"""FileSkill: reads, writes and lists files of the workspace, and nothing outside of it.

Every path is walked from the workspace's own handle, one folder at a time, and no symbolic link is
followed: there is no moment between a check and its use.
"""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import JsonValue

from spore.skills.base import Skill, SkillContext, SkillFailed

MAX_FILE_BYTES = 2 * 1024 * 1024
MAX_ENTRIES = 10_000

#: What O_NOFOLLOW answers for a link.
_REASONS = {
    errno.ELOOP: "a symbolic link is in it, which is refused",
    errno.ENOTDIR: "a part of it is no folder, or is a symbolic link, which is refused",
}
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class FileSkill(Skill):
    """Files of the node's workspace. Paths are relative to it."""

    def read_file(self, context: SkillContext, path: str) -> str:
        """The text of a file of at most 2 MB."""
        return _read(context.workspace, path)

    def write_file(self, context: SkillContext, path: str, content: str) -> JsonValue:
        """Write a file, whole or not at all. Folders that are missing are made."""
        return _write(context.workspace, path, content)

    def list_files(self, context: SkillContext, path: str = ".") -> JsonValue:
        """What is in a folder: name, kind (file, folder, link, other) and size of each, by name."""
        return _list(context.workspace, path)


def _read(workspace: Path, path: str) -> str:
    with _told(path), _folder_of(workspace, path) as (folder, name):
        # NONBLOCK: a pipe that nobody writes to must not hold us.
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise SkillFailed(f"{path!r} is not a file.")
            with os.fdopen(handle, "rb", closefd=False) as file:
                data = file.read(MAX_FILE_BYTES + 1)
        finally:
            os.close(handle)
    _check_size(path, len(data), "read")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise SkillFailed(f"{path!r} is not UTF-8 text (byte {error.start}).") from None


def _write(workspace: Path, path: str, content: str) -> JsonValue:
    try:
        data = content.encode()
    except UnicodeEncodeError:
        raise SkillFailed("content must be valid Unicode text.") from None
    _check_size(path, len(data), "written")
    with _told(path), _folder_of(workspace, path, make=True) as (folder, name):
        mode = _mode_to_keep(folder, name, path)
        draft = f".venom-{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(draft, flags, 0o666, dir_fd=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                if mode is not None:
                    os.fchmod(handle, mode)
                file.write(data)
                file.flush()
                os.fsync(handle)
            os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(draft, dir_fd=folder)
            raise
        os.fsync(folder)
    return {"path": path, "size": len(data)}


def _list(workspace: Path, path: str) -> JsonValue:
    entries: list[JsonValue] = []
    with _told(path), _opened(workspace, _parts(path)) as folder, os.scandir(folder) as found:
        for entry in found:
            if len(entries) == MAX_ENTRIES:
                raise SkillFailed(f"{path!r} has more than {MAX_ENTRIES} entries.")
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # removed while we looked
            name = entry.name.encode(errors="surrogateescape").decode(errors="replace")
            entries.append({"name": name, "kind": _kind(status.st_mode), "size": status.st_size})
    return sorted(entries, key=lambda entry: str(entry["name"]) if isinstance(entry, dict) else "")


@contextmanager
def _folder_of(workspace: Path, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """The handle of the folder that holds the file, and the file's name in it."""
    parts = _parts(path)
    if not parts:
        raise SkillFailed(f"{path!r} is a folder, not a file.")
    with _opened(workspace, parts[:-1], make=make) as folder:
        yield folder, parts[-1]


@contextmanager
def _opened(workspace: Path, parts: list[str], *, make: bool = False) -> Iterator[int]:
    folder = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            deeper = _step(folder, part, make=make)
            os.close(folder)
            folder = deeper
        yield folder
    finally:
        os.close(folder)


def _step(folder: int, part: str, *, make: bool) -> int:
    if make:
        try:
            return os.open(part, _FOLDER, dir_fd=folder)
        except FileNotFoundError:
            with suppress(FileExistsError):  # somebody else may be as quick
                os.mkdir(part, dir_fd=folder)
    return os.open(part, _FOLDER, dir_fd=folder)


def _parts(path: str) -> list[str]:
    if not path.strip():
        raise SkillFailed("path must not be blank.")
    if "\0" in path:
        raise SkillFailed("path must not hold a zero byte.")
    if path.startswith("/"):
        raise SkillFailed(f"{path!r} is absolute; paths are relative to the workspace.")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise SkillFailed(f"{path!r} leaves the workspace: '..' is refused.")
    return parts


def _mode_to_keep(folder: int, name: str, path: str) -> int | None:
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(status.st_mode):
        raise SkillFailed(f"{path!r} is a symbolic link, which is refused.")
    if not stat.S_ISREG(status.st_mode):
        raise SkillFailed(f"{path!r} is not a file.")
    return stat.S_IMODE(status.st_mode) & 0o777


@contextmanager
def _told(path: str) -> Iterator[None]:
    """The system's errors in the caller's words."""
    try:
        yield
    except SkillFailed:
        raise
    except UnicodeEncodeError:
        raise SkillFailed(f"{path!r} is not a name that files can have.") from None
    except OSError as error:
        raise SkillFailed(f"{path!r}: {_REASONS.get(error.errno or 0, error.strerror)}.") from None


def _check_size(path: str, size: int, done: str) -> None:
    if size > MAX_FILE_BYTES:
        raise SkillFailed(
            f"{path!r} is larger than {MAX_FILE_BYTES} bytes and cannot be {done} as one piece."
        )


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "link" if stat.S_ISLNK(mode) else "other"
