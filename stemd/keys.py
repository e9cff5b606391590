"""Keys of those who talk beyond one machine: pairs, and lists of whom to trust, in one folder.

A *pair* is a file of two lines, public key and secret key (CURVE, Z85, 40 characters each), that
only its owner can read. docs/security.md says who has which.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import secrets
import string
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .errors import ConfigError

ROLES = ("send", "listen", "control")  # audio in; stems and features out; turn the knobs
DEFAULT_ROLES = ("send", "listen")  # of a line that names none: the knobs are asked for by name
SERVER_FILE = "server.key"  # the daemon's pair
OWN_FILE = "client.key"  # the pair of this user's programs, for daemons elsewhere
LOCAL_FILE = "local.key"  # a pair that may do everything: the daemon's user, on its machine
CLIENTS_FILE = "clients"  # whom the daemon knows: `KEY [roles=a,b] [name]`
DAEMONS_FILE = "daemons"  # whom this user's programs trust: `KEY name-or-address`
KEY_CHARACTERS = 40  # 32 bytes as Z85
MAX_NAME = 64

_FILES = (SERVER_FILE, OWN_FILE, LOCAL_FILE, CLIENTS_FILE, DAEMONS_FILE)
_Z85 = string.digits + string.ascii_letters + ".-:+=^!/*?&<>()[]{}@%$#"  # in the order of values
_VALUE = {character: value for value, character in enumerate(_Z85)}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*")


@dataclass(frozen=True, slots=True)
class Pair:
    """A public key, and the secret one that proves it; both Z85."""

    public: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of `clients` or `daemons`."""

    key: str
    name: str = ""
    roles: frozenset[str] = frozenset()


def default_folder() -> Path:
    """Where keys are unless told otherwise: `$XDG_CONFIG_HOME/stemd`, else `~/.config/stemd`.

    Raises
    ------
    ConfigError
        When this user has no home.
    """
    base = os.environ.get("XDG_CONFIG_HOME")
    try:
        return Path(base) / "stemd" if base else Path.home() / ".config" / "stemd"
    except RuntimeError as error:
        raise ConfigError("security.keys: got no home folder, expected a folder named") from error


def fingerprint(key: str) -> str:
    """A public key, short enough to be read out: 80 bits of its SHA-256 in four groups."""
    digest = base64.b32encode(hashlib.sha256(key.encode()).digest()[:10]).decode()
    return "-".join(digest[i : i + 4] for i in range(0, 16, 4))


def is_key(text: str) -> bool:
    """Whether this could be a CURVE key in Z85: five characters each for four bytes."""
    if len(text) != KEY_CHARACTERS or not _VALUE.keys() >= set(text):
        return False
    numbers = [0] * (KEY_CHARACTERS // 5)
    for i, character in enumerate(text):
        numbers[i // 5] = 85 * numbers[i // 5] + _VALUE[character]
    return max(numbers) < 1 << 32  # ZeroMQ takes no more, and says only "invalid argument"


def check_key(text: str, where: str = "key") -> str:
    """The key, or a refusal.

    Raises
    ------
    ConfigError
    """
    if not is_key(text):
        shown = repr(text) if len(text) <= KEY_CHARACTERS else f"{len(text)} characters"
        raise ConfigError(f"{where}: got {shown}, expected {KEY_CHARACTERS} characters of Z85")
    return text


def make_pair() -> Pair:
    """A new pair, nowhere but in memory."""
    import zmq  # here only: `stemd --help` reads the roles above and waits for nothing else

    while True:
        public, secret = zmq.curve_keypair()
        if public[:1] not in b"-#":  # commands would take it for an option or a comment
            return Pair(public.decode(), secret.decode())


def read_pair(path: Path) -> Pair:
    """The pair in a file.

    Raises
    ------
    ConfigError
        When there is none, or others can read it.
    """
    try:
        words = path.read_text("ascii").split()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: got {_why(error)}, expected a file of two keys") from error
    if len(words) != 2 or not all(map(is_key, words)):
        raise ConfigError(f"{path}: got {len(words)} words, expected two keys of 40 characters")
    if mode & 0o077 and sys.platform != "win32":
        raise ConfigError(f"{path}: got mode {mode & 0o777:o}, expected 600: others can read it")
    return Pair(*words)


def write_pair(path: Path, pair: Pair, replace: bool = False) -> None:
    """Put a pair where only we can read it, whole or not at all.

    Raises
    ------
    ConfigError
        When it cannot be written, or is there already.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _fresh(path, f"{pair.public}\n{pair.secret}\n") as fresh:
            if not replace and path.exists():
                raise ConfigError(f"{path}: got a file that exists, expected none")
            # A link fails where something is by now; a rename does not.
            (os.replace if replace else os.link)(fresh, path)
    except OSError as error:
        raise ConfigError(f"{path}: got {_why(error)}, expected a folder of ours") from error


class KeyStore:
    """The keys in one folder; every question reads what stands there now.

    Parameters
    ----------
    folder : Path or None
        None: `default_folder()`. Made when something is written.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = default_folder() if folder is None else folder
        self._stamps: dict[str, object] = {}
        self._entries: dict[str, dict[str, Entry]] = {}

    # -- pairs ----------------------------------------------------------------------------------

    def server(self) -> Pair:
        """The daemon's pair; made when missing.

        Raises
        ------
        ConfigError
            When it is not usable.
        """
        return self._pair(SERVER_FILE)

    def own(self) -> Pair:
        """The pair of this user's programs; made when missing.

        Raises
        ------
        ConfigError
            When it is not usable.
        """
        return self._pair(OWN_FILE)

    def local(self) -> Pair:
        """The pair of the daemon's own user on its machine; made when missing.

        Raises
        ------
        ConfigError
            When it is not usable.
        """
        return self._pair(LOCAL_FILE)

    def _pair(self, name: str) -> Pair:
        path = self.folder / name
        if not path.exists():
            try:
                write_pair(path, make_pair())
            except ConfigError:
                if not path.exists():  # else another process was a moment earlier
                    raise
        return read_pair(path)

    # -- whom the daemon knows ------------------------------------------------------------------

    def clients(self) -> dict[str, Entry]:
        """Those on the list, by public key."""
        return self._read(CLIENTS_FILE)

    def allows(self, key: str, roles: Iterable[str]) -> bool:
        """Whether a public key has any of the roles, now."""
        entry = self.clients().get(key)
        return entry is not None and not entry.roles.isdisjoint(roles)

    def authorise(self, name: str, key: str, roles: Sequence[str] = DEFAULT_ROLES) -> Entry:
        """Put a key on the list; who had that key or that name is replaced.

        Raises
        ------
        ConfigError
            When name, key or roles make no sense, or the list cannot be written.
        """
        check_key(key)
        _check_name(name)
        wrong = [role for role in roles if role not in ROLES]
        if wrong or not roles:
            raise ConfigError(f"role: got {', '.join(wrong) or 'none'}, expected {_any(ROLES)}")
        known = ",".join(role for role in ROLES if role in roles)
        self._replace(CLIENTS_FILE, (key, name), f"{key} roles={known} {name}")
        return self.clients()[key]

    def revoke(self, who: str) -> list[Entry]:
        """Take off the list whoever has this name or this key.

        Raises
        ------
        ConfigError
            When nobody has, or the list cannot be written.
        """
        gone = [e for e in self.clients().values() if who in (e.key, e.name)]
        if not gone:
            known = _any(sorted(e.name or e.key for e in self.clients().values()))
            raise ConfigError(f"revoke: got {who[:MAX_NAME]!r}, expected {known or 'a client'}")
        self._replace(CLIENTS_FILE, (who,), "")
        return gone

    # -- whom our programs trust ----------------------------------------------------------------

    def daemons(self) -> dict[str, Entry]:
        """Daemons whose key is known here, by public key."""
        return self._read(DAEMONS_FILE)

    def trust(self, name: str, key: str) -> None:
        """Remember a daemon's key under the name or address it is reached by.

        Raises
        ------
        ConfigError
            When name or key make no sense, or the list cannot be written.
        """
        check_key(key)
        _check_name(name)
        self._replace(DAEMONS_FILE, (key, name), f"{key} {name}")

    def key_of(self, name: str = "", print_of: str = "") -> str:
        """Public key of the daemon of that name or address, or of that fingerprint; or empty."""
        for entry in self.daemons().values():
            if (name and entry.name == name) or (print_of and fingerprint(entry.key) == print_of):
                return entry.key
        return ""

    # -- what is wrong --------------------------------------------------------------------------

    def complaints(self) -> list[str]:
        """What a person should look at: lines that mean nothing, files others can write."""
        found = []
        for name in (CLIENTS_FILE, DAEMONS_FILE):
            path = self.folder / name
            for i, line in enumerate(self._lines(name), 1):
                if line.strip() and line.split()[0] != "#" and _entry(line, name) is None:
                    found.append(f"{path}:{i}: got {line[:MAX_NAME]!r}, expected a key first")
        if sys.platform != "win32":
            for name in ("", *_FILES):
                path = self.folder / name
                with contextlib.suppress(OSError):
                    mode = path.stat().st_mode & 0o777
                    if mode & (0o077 if name.endswith(".key") else 0o022):
                        found.append(f"{path}: got mode {mode:o}, expected it to be ours alone")
        return found

    # -- inside ---------------------------------------------------------------------------------

    def _read(self, name: str) -> dict[str, Entry]:
        """Entries of a list; the file is read again when it was written to."""
        stamp = _stamp(self.folder / name)
        if name not in self._entries or stamp != self._stamps[name]:
            self._stamps[name] = stamp
            entries = (_entry(line, name) for line in self._lines(name))
            self._entries[name] = {e.key: e for e in entries if e is not None}
        return self._entries[name]

    def _lines(self, name: str) -> list[str]:
        try:
            return (self.folder / name).read_text("utf-8", "replace").splitlines()
        except OSError:
            return []

    def _replace(self, name: str, taken: Sequence[str], line: str) -> None:
        """Write a list without the entries that have a key or name in `taken`, and with `line`."""
        path = self.folder / name
        kept = []
        for old in self._lines(name):
            entry = _entry(old, name)
            if entry is None or (entry.key not in taken and entry.name not in taken):
                kept.append(old)
        text = "".join(f"{one}\n" for one in (*kept, *([line] if line else ())))
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _fresh(path, text) as fresh:
                os.replace(fresh, path)
        except OSError as error:
            raise ConfigError(f"{path}: got {_why(error)}, expected a folder of ours") from error
        self._entries.pop(name, None)


def _entry(line: str, name: str) -> Entry | None:
    """What one line says; None when it does not begin with a key, or names a role nobody has."""
    words = line.split()
    if not words or not is_key(words[0]):
        return None
    if name == DAEMONS_FILE:
        return Entry(words[0], " ".join(words[1:]))
    roles = frozenset(DEFAULT_ROLES)
    rest = words[1:]
    if rest and rest[0].startswith("roles="):
        roles = frozenset(rest.pop(0).removeprefix("roles=").split(","))
        if not roles <= frozenset(ROLES):
            return None
    return Entry(words[0], " ".join(rest), roles)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME or is_key(name):
        raise ConfigError(
            f"name: got {name[:MAX_NAME]!r}, expected up to {MAX_NAME} of A-Z a-z 0-9 _ . : -"
        )


def _any(names: Sequence[str]) -> str:
    return f"one of {', '.join(names)}" if names else ""


@contextlib.contextmanager
def _fresh(path: Path, text: str) -> Iterator[Path]:
    """A file beside `path` that only we can read, on the disk; gone afterwards."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield fresh
    finally:
        fresh.unlink(missing_ok=True)


def _stamp(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _why(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
