"""What verbs write into the audit log of a site, where one is kept: who, on the command line, did what."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xreid.cli.search import SearchOptions
    from xreid.retrieval.columns import Filter
    from xreid.retrieval.gallery import Gallery, Receipt, StoredSet
    from xreid.retrieval.search import SearchResult


class Audited:
    """Writes lines about a gallery; nothing where nobody keeps a log.

    Args:
        gallery: The gallery; erasures that it finishes from now on are written down, too.
        state: Folder of its answers, where they lie elsewhere.

    Raises:
        XReidError: A log is kept, and cannot be written: then nothing must be searched or changed.
    """

    def __init__(self, gallery: Gallery, state: Path | None = None) -> None:
        from xreid.retrieval.answers import answers_folder_if_any
        from xreid.retrieval.audit import audit_of

        self._log = audit_of(answers_folder_if_any(gallery, state))
        gallery.on_finished(self._write_finished)

    def _write_finished(self, receipt: Receipt) -> None:
        """Append a line for an erasure that had been left unfinished."""
        self.write("erasure finished", receipt=receipt.id, tracklets=receipt.tracklets)

    def write(self, what: str, **details: Any) -> None:
        """Append one line."""
        if self._log is not None:
            self._log.write(f"{_user()} (command line)", what, details)

    def write_append(self, stored: StoredSet) -> None:
        """Append a line for a set that is about to be appended."""
        self.write("append", name=stored.name, set=stored.key, tracklets=stored.rows)

    def write_search(
        self, options: SearchOptions, rules: Filter, results: Sequence[SearchResult], case: str | None
    ) -> None:
        """Append a line for each query of a search, as a server does."""
        if self._log is None:
            return
        from xreid.core.files import sha256_of_file
        from xreid.retrieval.gallery_receipts import hash_of_vector

        files = [file for path in options.image for file in ([path] if path.is_file() else _files(path))]
        files += [] if options.video is None else [options.video]
        uploads = [sha256_of_file(file) for file in files]
        for result in results:
            examples = result.query.examples
            self.write(
                "search",
                tracklets=[one.id for one in examples if one.id is not None],
                vectors=[hash_of_vector(one.vector) for one in examples if one.id is None],
                uploads=uploads,
                case=case,
                filters=_set_ones(rules),
                top=options.top,
                min_score=options.min_score,
                searched=result.searched,
                found=len(result.hits),
            )


def _set_ones(rules: Filter) -> dict[str, Any]:
    """The conditions that filter."""
    values = {one.name: getattr(rules, one.name) for one in fields(rules)}
    given = {name: value for name, value in values.items() if value not in (None, False, ())}
    return {name: getattr(value, "value", value) for name, value in given.items()}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def _user() -> str:
    """Who runs this process, as the system knows it: variables of the environment say anything."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"
