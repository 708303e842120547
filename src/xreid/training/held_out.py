"""The people a finished run kept out of training, for whatever must not see training people."""

from __future__ import annotations

from pathlib import Path

from xreid.core.errors import ConfigError, DataError
from xreid.core.files import read_json
from xreid.core.tracklets import TrackletTable
from xreid.training.material import training_rows


def held_out_tracklets(table: TrackletTable, run: Path) -> TrackletTable:
    """All tracklets of the identities that a run held out.

    Args:
        table: The archive that the run trained on.
        run: Folder of the run, or of the checkpoint in it.

    Raises:
        ConfigError: There is no run, or it held nobody out.
        DataError: The archive lacks some of them.
    """
    record = next((place for place in (run / "run.json", run.parent / "run.json") if place.is_file()), None)
    if record is None:
        raise ConfigError(
            f"{run} is no run, so that nobody knows whom it held out",
            expected="a folder with run.json, as `xreid train` writes it",
            todo="Give the run's folder instead of a copy of its checkpoint.",
        )
    found = read_json(record, what="run")
    try:
        names, auxiliary = (
            set(found["data"]["held_out_identities"]),
            bool(found["config"]["archive"]["auxiliary"]),
        )
    except (KeyError, TypeError) as error:
        raise DataError(f"{record} is no run as xreid writes it", got=str(error)) from error
    if not names:
        raise ConfigError(
            f"{record.parent} held nobody out", todo="Train with --selection.held_out, say 0.1."
        )
    rows = training_rows(table, auxiliary=auxiliary)
    missing = names - set(rows.identities())
    if missing:
        raise DataError(
            f"{table.root} lacks {len(missing)} of the {len(names)} people held out",
            got=", ".join(sorted(missing)[:5]),
            todo="Give the archive that the run was trained on, with the same --layout and --min-frames.",
        )
    return rows.where(lambda row: row.identity in names, what="held-out identities")
