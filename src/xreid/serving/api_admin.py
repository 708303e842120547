"""For administrators: erasing people, the audit log."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query

from xreid.core.errors import XReidError
from xreid.retrieval.audit import check
from xreid.retrieval.gallery_receipts import Receipt, UnfinishedError
from xreid.serving.auth import Admin, Here
from xreid.serving.schemas import AuditPage, Erasure
from xreid.serving.site import Site

router = APIRouter(prefix="/api/v1", tags=["administration"])


@router.post("/erase")
def erase(asked: Erasure, who: Admin, site: Here) -> dict[str, Any]:
    """Erase people from the gallery, with a receipt. A dry run, the default, says what would be erased."""
    if not asked.dry_run:
        count = {"names": len(asked.names), "identities": len(asked.identities)}
        site.audit.write(who.name, "erase asked", count)
    try:
        receipt = site.backend.erase(
            names=asked.names,
            identities=asked.identities,
            who=who.name,
            reason=asked.reason,
            dry_run=asked.dry_run,
        )
    except UnfinishedError as error:
        _erased(site, who.name, error.receipt, "erased in part")
        raise
    except XReidError:
        site.clips.forget()  # some may be gone, and a clip is soon made anew
        raise
    if not asked.dry_run:
        _erased(site, who.name, receipt, "erased")
    return asdict(receipt)


def _erased(site: Site, who: str, receipt: Receipt, what: str) -> None:
    site.clips.forget()
    site.audit.write(who, what, {"receipt": receipt.id, "tracklets": receipt.tracklets})


@router.get("/receipts")
def receipts(who: Admin, site: Here) -> list[dict[str, Any]]:
    """What was erased, when and on whose word; names only as hashes; what is damaged says so instead."""
    damaged: dict[str, str] = {}
    found = [asdict(receipt) for receipt in site.backend.gallery.receipts(damaged)]
    return [*found, *({"damaged": text} for text in damaged.values())]


@router.get("/audit")
def audit_log(
    who: Admin,
    site: Here,
    before: Annotated[int | None, Query(ge=1, le=10**12)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    verify: bool = False,
) -> AuditPage:
    """Who did what, newest first; `verify` follows the chain of hashes from the first entry."""
    entries = site.audit.newest(before=before, limit=limit)
    verdict = check(site.audit.path) if verify else None
    return AuditPage(
        entries=entries,
        count=site.audit.head.count,
        head=site.audit.head.hash,
        intact=None if verdict is None else verdict.broken_at is None,
        why=""
        if verdict is None or verdict.broken_at is None
        else f"line {verdict.broken_at}: {verdict.why}",
    )
