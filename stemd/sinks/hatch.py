"""Control requests of our own console process, answered as those of the control port are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import ProtocolError
from ..hatch import Hatch
from ..wire.control import Request, decode_fields

MAX_PENDING = 16
REQUESTS_PER_SERVICE = 16

Answer = dict[str, Any]
Answerer = Callable[[Request, bool], Answer | Callable[[], Answer | None]]


class HatchServer:
    """Asks `answer(request, local)` for each request `{"op", "id", "local", …}` that comes."""

    def __init__(self, hatch: Hatch, answer: Answerer) -> None:
        self._hatch = hatch
        self._answer = answer
        self._later: list[tuple[Any, Callable[[], Answer | None]]] = []

    def service(self) -> None:
        """Answer what has come in; never blocks."""
        for fields in self._hatch.receive():
            request_id = fields.get("id")
            local = fields.pop("local", False) is True
            self._try(request_id, lambda f=fields, own=local: self._begin(f, own))  # type: ignore[misc]
        self._later = [one for one in self._later if not self._try(*one)]

    def _begin(self, fields: dict[str, Any], local: bool) -> Answer | None:
        request = decode_fields(fields)
        answer = self._answer(request, local)
        if not callable(answer):
            return answer
        if len(self._later) >= MAX_PENDING:
            raise ProtocolError("requests: got too many at once, expected fewer")
        self._later.append((request.id, answer))
        return None

    def _try(self, request_id: Any, answer: Callable[[], Answer | None]) -> bool:
        """Whether there was an answer, and it is on its way."""
        try:
            said = answer()
        except ProtocolError as error:
            self._hatch.send({"ok": False, "id": request_id, "error": str(error)})
            return True
        if said is None:
            return False
        self._hatch.send({**said, "ok": True, "id": request_id})
        return True
