"""The application: the API, the page, health and metrics."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse, JSONResponse
from starlette.staticfiles import StaticFiles

import xreid
from xreid.core.errors import XReidError
from xreid.serving import (
    api_admin,
    api_cases,
    api_follow,
    api_gallery,
    api_jobs,
    api_labels,
    api_moments,
    api_search,
    api_session,
    api_uploads,
    api_watch,
    api_why,
    problems,
)
from xreid.serving.auth import Here, Viewer
from xreid.serving.guard import Guard
from xreid.serving.schemas import ProblemView
from xreid.serving.site import Site

STATIC = Path(__file__).parent / "static"
_SWEEP_SECONDS = 60.0
_LOG = logging.getLogger("xreid.serving")
_PROBLEM: dict[str, Any] = {
    "description": "Problem details",
    "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemView"}}},
}


def create_app(site: Site) -> FastAPI:
    """The application of a site; closing it closes the site."""

    @contextlib.asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        site.jobs.start()
        sweeper = asyncio.create_task(_sweep(site))
        yield
        sweeper.cancel()
        await asyncio.to_thread(site.close)

    app = FastAPI(
        title="xreid",
        version=xreid.__version__,
        summary="Search people in a gallery, across visible and infrared cameras",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # FastAPI's own pages load scripts from elsewhere
        redoc_url=None,
        lifespan=living,
        responses={"4XX": _PROBLEM, "5XX": _PROBLEM},
    )
    app.state.site = site
    for part in (
        api_session,
        api_gallery,
        api_uploads,
        api_follow,
        api_search,
        api_why,
        api_moments,
        api_labels,
        api_cases,
        api_watch,
        api_jobs,
        api_admin,
    ):
        app.include_router(part.router)
    _add_health(app)
    _add_page(app)
    problems.install(app)
    _describe(app)
    app.add_middleware(
        Guard,
        limits=site.config.limits,
        hosts=[site.config.host, *site.config.allow_host],
        secure=site.config.secure,
        metrics=site.metrics,
    )
    return app


def _add_health(app: FastAPI) -> None:
    @app.get("/healthz", tags=["health"])
    def alive() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["health"])
    def ready(site: Here) -> JSONResponse:
        """Whether the gallery can be searched and the log written."""
        try:
            len(site.backend.gallery)
            writable = site.audit.path.is_file()
        except Exception:  # noqa: BLE001 (whatever it is, we are not ready)
            writable = False
        return JSONResponse({"status": "ok" if writable else "unready"}, 200 if writable else 503)

    @app.get(
        "/metrics", tags=["health"], response_class=Response, responses={200: {"content": {"text/plain": {}}}}
    )
    def metrics(who: Viewer, site: Here) -> Response:
        """Figures for Prometheus; with tokens, a viewer's is needed."""
        site.metrics.tracklets.set(len(site.backend.gallery))
        site.metrics.audit.set(site.audit.head.count)
        counts = site.jobs.counts()
        for state in ("queued", "running", "done", "failed", "cancelled"):
            site.metrics.jobs.labels(state).set(counts[state])
        return Response(site.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    @app.get("/static/page.css", include_in_schema=False)
    def house_style() -> FileResponse:
        return FileResponse(STATIC.parents[1] / "core" / "page.css", headers={"cache-control": "no-cache"})

    app.mount("/static", StaticFiles(directory=STATIC), name="static")


def _describe(app: FastAPI) -> None:
    """Complete the OpenAPI description: problems instead of FastAPI's own errors, and the token."""
    description = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            plain = description()
            parts = plain["components"]
            parts["schemas"] = {n: s for n, s in parts["schemas"].items() if "ValidationError" not in n}
            parts["schemas"]["ProblemView"] = ProblemView.model_json_schema()
            parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            plain["security"] = [{"token": []}, {}]
            for operation in (op for path in plain["paths"].values() for op in path.values()):
                operation["responses"].pop("422", None)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


async def _sweep(site: Site) -> None:
    told = ""
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        try:
            await asyncio.to_thread(site.sweep)
            told = ""
        except XReidError as error:  # a damaged case may need any query: said once, not each minute
            if str(error) != told:
                _LOG.warning("queries whose time is over stay until this is mended: %s", error)
            told = str(error)
        except Exception:  # noqa: BLE001 (one that fails must not be the last: uploads would stay for ever)
            _LOG.exception("what is over was not deleted; trying again")
