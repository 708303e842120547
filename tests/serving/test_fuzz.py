"""The API, fuzzed from its own description by schemathesis: no 5xx, no answer that it does not describe.

That well-formed requests may still be refused (an unknown camera, no import folder) is as it should be.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402

from tests.serving.world import config_of  # noqa: E402
from xreid.serving.app import create_app  # noqa: E402
from xreid.serving.config import Limits  # noqa: E402
from xreid.serving.site import Site  # noqa: E402

EXAMPLES = int(os.environ.get("XREID_FUZZ", "6"))  # for each operation


@pytest.fixture(scope="module")
def fuzzed(made_world: Path, tmp_path_factory: pytest.TempPathFactory) -> object:
    import shutil

    folder = tmp_path_factory.mktemp("fuzz")
    shutil.copytree(made_world / "gallery", folder / "gallery")
    limits = Limits(upload_mib=1, uploads_mib=8, decode_seconds=10)
    config = config_of(
        made_world, folder / "state", gallery=str(folder / "gallery"), limits=limits, imports=None
    )
    site = Site.open(config)
    yield schemathesis.openapi.from_asgi(
        "/api/v1/openapi.json", create_app(site), headers={"host": "localhost"}
    )
    site.close()


def test_every_operation(fuzzed: object) -> None:
    """Each operation as its own property; all failures are told together."""
    failures, tried = [], 0
    for found in fuzzed.get_all_operations():  # type: ignore[attr-defined]
        operation = found.ok()
        try:
            fuzz(operation)
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 (told below, with all others)
            told = getattr(error, "exceptions", (error,))
            failures.append(f"{operation.label}: " + " | ".join(str(one)[:600] for one in told))
        tried += 1
    assert tried > 35
    assert not failures, "\n\n".join(failures)


def fuzz(operation: object) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    @given(case=operation.as_strategy())  # type: ignore[attr-defined]
    def run(case: object) -> None:
        case.call_and_validate(  # type: ignore[attr-defined]
            headers={"host": "localhost"}, excluded_checks=[positive_data_acceptance]
        )

    run()
