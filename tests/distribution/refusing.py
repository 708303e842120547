"""A worker that refuses; it stands alone, since each process of Ray that needs it imports what it imports."""

from __future__ import annotations

from typing import Any

from xreid.core.errors import XReidError


class Refusing:
    """Cannot do item 1; cannot be made where it is told so."""

    def __init__(self, *, made: bool = True) -> None:
        if not made:
            raise XReidError("the worker cannot be made", todo="Mend it.")

    def do(self, item: int) -> dict[str, Any]:
        if item == 1:
            raise XReidError("item 1 cannot be done", todo="Leave it out.")
        return {"item": item}
