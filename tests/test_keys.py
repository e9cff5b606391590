"""The folder of keys: what is written, what is understood, what is refused."""

from __future__ import annotations

import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from stemd.errors import ConfigError
from stemd.keys import (
    CLIENTS_FILE,
    DAEMONS_FILE,
    DEFAULT_ROLES,
    OWN_FILE,
    ROLES,
    SERVER_FILE,
    KeyStore,
    Pair,
    check_key,
    default_folder,
    fingerprint,
    is_key,
    make_pair,
    read_pair,
    write_pair,
)

# of rfc.zeromq.org/spec/26
KNOWN = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
posix = pytest.mark.skipif(sys.platform == "win32", reason="no modes there")


@pytest.fixture
def store(tmp_path):
    return KeyStore(tmp_path / "keys")


def test_a_pair_is_made_once_and_kept_secret(store):
    pair = store.server()
    assert pair == store.server() == KeyStore(store.folder).server()
    path = store.folder / SERVER_FILE
    assert path.read_text() == f"{pair.public}\n{pair.secret}\n"
    assert pair != store.own() == read_pair(store.folder / OWN_FILE)
    assert pair.secret not in repr(pair)
    assert sorted(file.name for file in store.folder.iterdir()) == [OWN_FILE, SERVER_FILE]
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700


def test_processes_that_start_together_agree_on_the_pair(store):
    with ThreadPoolExecutor(8) as pool:
        pairs = list(pool.map(lambda _: KeyStore(store.folder).server(), range(32)))
    assert len(set(pairs)) == 1


def test_made_keys_go_through_a_command_line():
    for _ in range(300):
        assert make_pair().public[0] not in "-#"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("hello\n", "got 1 words, expected two keys"),
        (f"{KNOWN}\n{KNOWN[:-1]}\n", "got 2 words, expected two keys"),
        ("é", "expected a file of two keys"),
    ],
)
def test_a_file_that_holds_no_pair_is_refused(store, content, complaint):
    store.folder.mkdir()
    (store.folder / SERVER_FILE).write_text(content, "utf-8")
    with pytest.raises(ConfigError, match=complaint):
        store.server()


@posix
def test_a_pair_others_can_read_is_refused(store):
    store.server()
    (store.folder / SERVER_FILE).chmod(0o640)
    with pytest.raises(ConfigError, match=r"server.key: got mode 640, expected 600"):
        store.server()
    assert any("server.key: got mode 640" in line for line in store.complaints())


def test_a_folder_that_is_none_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file.server.key: got .*, expected a folder of ours"):
        KeyStore(tmp_path / "file").server()
    with pytest.raises(ConfigError, match=r"clients: got .*, expected a folder of ours"):
        KeyStore(tmp_path / "file").authorise("x", KNOWN)


def test_a_pair_is_not_replaced_by_accident(tmp_path):
    path = tmp_path / "mine.key"
    write_pair(path, make_pair())
    with pytest.raises(ConfigError, match="got a file that exists"):
        write_pair(path, make_pair())
    new = make_pair()
    write_pair(path, new, replace=True)
    assert read_pair(path) == new


def test_who_is_authorised_is_known_by_role(store):
    assert not store.allows(KNOWN, ROLES)
    store.authorise("desk", KNOWN, ["control", "listen"])
    line = (store.folder / CLIENTS_FILE).read_text()
    assert line == f"{KNOWN} roles=listen,control desk\n"
    assert store.allows(KNOWN, ["control"])
    assert store.allows(KNOWN, ["send", "listen"])
    assert not store.allows(KNOWN, ["send"])
    assert not store.allows(make_pair().public, ROLES)


def test_the_knobs_are_asked_for_by_name(store):
    assert store.authorise("desk", KNOWN).roles == frozenset(DEFAULT_ROLES)
    (store.folder / CLIENTS_FILE).write_text(f"{KNOWN} the mixing desk\n")  # by hand
    entry = store.clients()[KNOWN]
    assert (entry.name, entry.roles) == ("the mixing desk", frozenset(DEFAULT_ROLES))
    assert not store.allows(KNOWN, ["control"])


def test_the_list_is_read_again_when_it_was_written(store):
    store.authorise("desk", KNOWN)
    other = KeyStore(store.folder)
    assert other.allows(KNOWN, ["send"])
    store.revoke("desk")
    assert not other.allows(KNOWN, ROLES)
    store.authorise("desk", KNOWN)
    assert other.allows(KNOWN, ["send"])
    os.remove(store.folder / CLIENTS_FILE)
    assert not other.allows(KNOWN, ROLES)


def test_what_a_person_wrote_is_kept(store):
    other = make_pair().public
    store.folder.mkdir()
    (store.folder / CLIENTS_FILE).write_text(f"# the stage\n\n{other} roles=send pi one\n")
    store.authorise("desk", KNOWN)
    store.authorise("desk", KNOWN, ["control"])
    assert (store.folder / CLIENTS_FILE).read_text() == (
        f"# the stage\n\n{other} roles=send pi one\n{KNOWN} roles=control desk\n"
    )
    assert [entry.key for entry in store.revoke("pi one")] == [other]
    assert [entry.name for entry in store.revoke(KNOWN)] == ["desk"]
    assert store.clients() == {}
    with pytest.raises(ConfigError, match="revoke: got 'desk', expected a client"):
        store.revoke("desk")


def test_a_name_and_a_key_are_on_the_list_once(store):
    keys = [make_pair().public for _ in range(2)]
    store.authorise("a", keys[0])
    store.authorise("b", keys[1])
    store.authorise("a", keys[1])
    assert {e.key: e.name for e in store.clients().values()} == {keys[1]: "a"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("desk", "short"), "key: got 'short', expected 40 characters"),
        (("desk", KNOWN * 2), "key: got 80 characters, expected 40"),
        (("desk", "é" * 40), "expected 40 characters of Z85"),
        (("", KNOWN), "name: got '', expected"),
        (("a b", KNOWN), "name: got 'a b', expected"),
        (("x" * 65, KNOWN), "name: got"),
        (("line\nbreak", KNOWN), "name: got"),
        (("desk", KNOWN, ["admin"]), "role: got admin, expected one of send, listen, control"),
        (("desk", KNOWN, []), "role: got none, expected one of send"),
    ],
)
def test_nonsense_does_not_get_on_the_list(store, arguments, complaint):
    with pytest.raises(ConfigError, match=complaint):
        store.authorise(*arguments)
    assert not (store.folder / CLIENTS_FILE).exists()


@pytest.mark.parametrize(
    "line",
    [f"{KNOWN[:-1]} desk", f"x {KNOWN}", f"{KNOWN} roles=everything desk", f"{KNOWN} roles= desk"],
)
def test_a_line_that_means_nothing_lets_nobody_in(store, line):
    store.folder.mkdir(mode=0o700)
    (store.folder / CLIENTS_FILE).write_text(f"# fine\n{line}\n")
    assert store.clients() == {}
    assert [c for c in store.complaints() if "clients:2: got" in c]


def test_a_daemon_is_trusted_by_name_address_or_fingerprint(store):
    other = make_pair().public
    store.trust("stage.local", KNOWN)
    store.trust("192.0.2.7", other)
    assert store.key_of("stage.local") == KNOWN
    assert store.key_of(print_of=fingerprint(other)) == other
    assert store.key_of("192.0.2.8") == store.key_of() == store.key_of(print_of="") == ""
    store.trust("stage.local", other)  # it has a new key
    assert (store.folder / DAEMONS_FILE).read_text() == f"{other} stage.local\n"


def test_fingerprints_are_short_and_differ():
    assert fingerprint(KNOWN) == "TX6Z-7YJ2-7HIM-42QL"
    assert len({fingerprint(make_pair().public) for _ in range(50)}) == 50


def test_what_is_a_key():
    assert is_key(KNOWN)
    assert check_key(KNOWN) == KNOWN
    assert not is_key(KNOWN[:-1] + "'")
    assert not is_key("")
    assert is_key("%nSc0" * 8)  # the largest four bytes
    assert not is_key("%nSc1" * 8)  # more than four bytes hold: ZeroMQ refuses it
    assert Pair("a", "b") == Pair("a", "b")


def test_the_usual_folder_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert default_folder() == KeyStore().folder == tmp_path / "stemd"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".config" / "stemd"
