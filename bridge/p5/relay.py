"""Features of a running stemd for a web page: ZeroMQ in, server-sent events out.

    python bridge/p5/relay.py            then open http://127.0.0.1:9780

A browser receives neither OSC nor ZeroMQ. It does receive server-sent events: plain HTTP, found
again by itself after a break, in every browser (`new EventSource("/features")`).

    GET  /features    one JSON object for each picture, {"drums": {"rms": 0.1, "kick": 0.8, …}, …}
    GET  /settings    all knobs, as the control operation `get`
    POST /set         turns them, as the control operation `set`: {"stem": "vocals", "mute": true}
    GET  /…           the files beside this one
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import stemd.client
from stemd.errors import StemdError

FOLDER = Path(__file__).parent
TYPES = {".html": "text/html", ".js": "text/javascript", ".png": "image/png"}
PORT, RATE_HZ = 9780, 60.0
QUIET_S = 1.0  # after as long without features the page hears that there are none
MAX_REQUEST_BYTES = 4096

# What is 1 or a strength in one hop of many is kept until the next picture, the rest is the newest.
EVENTS = {"onset", "note_velocity", "kick", "snare", "hihat", "beat"}
HIGHEST = EVENTS | {"peak"}


class Pictures:
    """Rows of features gathered for one reader until it takes them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sources: dict[str, dict[str, float]] = {}

    def add(self, row: Any) -> None:
        """One row, from the thread that receives."""
        new = dict(zip(row.names, row.values.tolist(), strict=False))
        with self._changed:
            old = self._sources.get(row.source)
            if old:
                # Every hop has a strength; what an onset has is that of its own hop.
                strengths = [one["onset_strength"] for one in (old, new) if one.get("onset")]
                new["onset_strength"] = max(strengths, default=new["onset_strength"])
                for name in HIGHEST & new.keys():
                    new[name] = max(new[name], old[name])
            self._sources[row.source] = new
            self._changed.notify()

    def take(self, timeout_s: float) -> dict[str, dict[str, float]]:
        """What came since the last call; empty when nothing did in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._sources, timeout_s)
            taken, self._sources = self._sources, {}
        return taken


class Relay(ThreadingHTTPServer):
    """A web server with a stemd client."""

    daemon_threads = True

    def __init__(self, client: Any, port: int, rate_hz: float) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.client = client
        self.rate_hz = rate_hz
        self._readers: set[Pictures] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._receive, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it is served."""
        return int(self.server_address[1])

    @contextlib.contextmanager
    def reading(self) -> Any:
        """Pictures for one reader, for as long as it reads."""
        pictures = Pictures()
        with self._lock:
            self._readers.add(pictures)
        try:
            yield pictures
        finally:
            with self._lock:
                self._readers.discard(pictures)

    def _receive(self) -> None:
        for row in self.client.features():
            with self._lock:
                for reader in self._readers:
                    reader.add(row)


class Handler(BaseHTTPRequestHandler):
    """One request, in a thread of its own."""

    server: Relay
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Features, knobs, or a file."""
        path = self.path.partition("?")[0]
        if not self._is_ours():
            self._answer(403, {"error": "host: expected 127.0.0.1 or localhost"})
        elif path == "/features":
            self._stream()
        elif path == "/settings":
            self._control("get", {})
        else:
            file = FOLDER / (path.strip("/") or "index.html")
            if file.parent == FOLDER and file.suffix in TYPES and file.is_file():
                self._send(200, TYPES[file.suffix], file.read_bytes())
            else:
                self._answer(404, {"error": f"{path}: not here"})

    def do_POST(self) -> None:
        """Turn a knob."""
        # A foreign page can neither send this type unasked nor name our origin as its own.
        mine = self.headers["Content-Type"] == "application/json" and self._is_ours()
        size = int(self.headers["Content-Length"] or 0)
        if self.path != "/set" or not mine or not 0 < size <= MAX_REQUEST_BYTES:
            self.close_connection = True
            self._answer(403, {"error": "expected /set, application/json, from our own page"})
            return
        try:
            fields = dict(json.loads(self.rfile.read(size)))
        except (TypeError, ValueError):
            self._answer(400, {"error": "expected one JSON object"})
            return
        self._control("set", {k: v for k, v in fields.items() if k not in ("op", "id")})

    def log_message(self, *_: Any) -> None:
        """Sixty pictures a second are no news."""

    def _is_ours(self) -> bool:
        hosts = [f"{name}:{self.server.port}" for name in ("127.0.0.1", "localhost")]
        origins = [None, *(f"http://{host}" for host in hosts)]
        return self.headers["Host"] in hosts and self.headers["Origin"] in origins

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        rest = threading.Event()
        with self.server.reading() as pictures, contextlib.suppress(OSError):
            while not self.server.client.closed:
                text = json.dumps(_short(pictures.take(QUIET_S)), separators=(",", ":"))
                self.wfile.write(f"data: {text}\n\n".encode())
                rest.wait(1.0 / self.server.rate_hz)

    def _control(self, op: str, fields: dict[str, Any]) -> None:
        try:
            self._answer(200, self.server.client.control(op, **fields))
        except StemdError as error:
            self._answer(400, {"error": str(error)})
        except TypeError:
            self._answer(400, {"error": "expected the fields of the control operation set"})

    def _answer(self, code: int, value: dict[str, Any]) -> None:
        self._send(code, "application/json", json.dumps(value).encode())

    def _send(self, code: int, kind: str, content: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _short(sources: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {
        source: {name: float(f"{value:.5g}") for name, value in row.items()}
        for source, row in sources.items()
    }


def main() -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="stemd's features for a web page")
    parser.add_argument("--host", default="127.0.0.1", help="where stemd runs")
    parser.add_argument("--control-port", type=int, default=stemd.client.CONTROL_PORT)
    parser.add_argument("--port", type=int, default=PORT, help="of the web page, on this machine")
    parser.add_argument("--rate", type=float, default=RATE_HZ, help="pictures per second")
    told = parser.parse_args()
    try:
        client = stemd.client.connect(told.host, control_port=told.control_port)
    except StemdError as error:
        print(f"relay: {error}", file=sys.stderr)
        return 1
    with client, Relay(client, told.port, told.rate) as relay:
        print(f"open http://127.0.0.1:{relay.port}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            relay.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
