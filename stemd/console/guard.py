"""Who may use the console: this machine, or who knows the token; never a page from elsewhere."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
import time
from collections.abc import Mapping

TRIES_PER_S = 2.0  # wrong tokens, of everybody together
BURST = 5.0


class Guard:
    """Judges requests by their headers.

    Parameters
    ----------
    token : str
        Empty: none is asked for.
    port : int
        The console's own; a cookie is named after it, because cookies do not know ports.
    """

    def __init__(self, token: str, port: int) -> None:
        self._token = token
        self.cookie = f"stemd-{port}"
        self._names = {"localhost", socket.gethostname().lower()}
        self._names |= {f"{name}.local" for name in self._names}
        self._tries = BURST
        self._tried_at = time.monotonic()

    @property
    def pass_(self) -> str:
        """What the cookie of a browser says that knew the token; the token cannot be read of it."""
        return hmac.new(self._token.encode(), b"stemd console", hashlib.sha256).hexdigest()

    def knows_host(self, host: str | None) -> bool:
        """Whether a page came from an address, or a name of this machine.

        A foreign page can point its own name at us (DNS rebinding), but not at an address of ours.
        """
        name = _name_of(host or "")
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return True

    def is_own_page(self, headers: Mapping[str, str]) -> bool:
        """Whether a request that changes something was sent by our own page.

        Browsers say where a page is from; programs that say nothing are not browsers.
        """
        origin = headers.get("Origin")
        site = headers.get("Sec-Fetch-Site", "same-origin")
        own = {f"{scheme}://{headers.get('Host')}" for scheme in ("http", "https")}
        return (origin is None or origin in own) and site in ("same-origin", "none")

    def admits(self, cookies: Mapping[str, str]) -> bool:
        """Whether a browser has shown the token, or need not."""
        if not self._token:
            return True
        return _same(cookies.get(self.cookie, ""), self.pass_)

    def accepts(self, token: str) -> bool:
        """Whether this is the token; nobody may guess often."""
        now = time.monotonic()
        self._tries = min(self._tries + (now - self._tried_at) * TRIES_PER_S, BURST)
        self._tried_at = now
        if self._tries < 1.0:
            return False
        right = bool(self._token) and _same(token, self._token)
        self._tries -= 0.0 if right else 1.0
        return right


def _same(said: str, wanted: str) -> bool:
    """Whether a secret is right, in a time that does not tell how much of it is."""
    # Bytes that are no text come in headers as lone surrogates, and JSON can say such.
    return hmac.compare_digest(said.encode("utf-8", "surrogatepass"), wanted.encode())


def _name_of(host: str) -> str:
    """Host header without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0].lower() if host.count(":") == 1 else host.lower()


def is_loopback(address: str) -> bool:
    """Whether a peer is on this machine."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
