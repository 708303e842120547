"""How long uploads are kept: as long as the settings say, and not longer."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.serving.conftest import Open
from tests.serving.world import as_bytes, person
from xreid.serving.config import Limits

API = "/api/v1"


@pytest.mark.parametrize(("minutes", "status"), [(9, 200), (11, 404)])
def test_an_upload_is_kept_for_its_time(opened: Open, world: Path, minutes: int, status: int) -> None:
    client = opened(limits=Limits(keep_minutes=10))
    made = client.post(f"{API}/uploads?name=a.png", content=as_bytes(person(0))).json()["id"]
    then = time.time() - 60 * minutes
    os.utime(world / "state0" / "uploads" / made, (then, then))
    client.app.state.site.sweep()  # type: ignore[attr-defined]
    assert client.get(f"{API}/uploads/{made}").status_code == status
