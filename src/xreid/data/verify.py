"""Check an archive before using it: counts, lists, identities, and every frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from xreid.core.errors import ConfigError
from xreid.core.tracklets import TrackletTable
from xreid.data import bupt_campus, hitsz_vcm, tables, verify_bupt, verify_hitsz
from xreid.data.archive import Layout, detect_layout, open_archive
from xreid.data.names import SIMULATION_MARK
from xreid.data.report import Check, Status, VerifyReport, count_check, none_check
from xreid.data.verify_frames import FrameFindings, Progress, check_frames

Counts = Literal["auto", "official", "any"]
Frames = Literal["decode", "exist", "skip"]


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """What the layouts hand over: who they are, what they found in the lists, and the files to open."""

    layout: str
    root: Path
    checks: list[Check]
    frames: list[str]


def verify_archive(
    root: Path,
    *,
    layout: Layout = "auto",
    counts: Counts = "auto",
    frames: Frames = "decode",
    fake_ir: bool = False,
    strict: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Check an archive of any layout.

    Args:
        root: The archive.
        layout: Its layout; "auto" decides by structure.
        counts: "official" demands the published counts, "any" only sound structure; "auto" is official for
            HITSZ-VCM and BUPTCampus unless the simulator's mark lies in the archive.
        frames: "decode" opens every listed frame, "exist" only looks for the files, "skip" neither.
        fake_ir: Also check the FakeIR twins of BUPTCampus.
        strict: Read tables strictly: report what is left after dropping frames that mix people.
        workers: Processes for the frames; None for one per core.
        progress: Called with (done, total) frames.

    Raises:
        DataError: The archive cannot be checked: nothing there, a list missing or malformed.
        ConfigError: Official counts were asked of a layout that has none.
    """
    known = detect_layout(root) if layout == "auto" else layout
    if counts == "official" and known not in ("hitsz-vcm", "bupt-campus"):
        raise ConfigError(f"there are no official counts for layout {known}", todo="Use --counts any.")
    if fake_ir and known != "bupt-campus":
        raise ConfigError("fake_ir fits BUPTCampus only", got=f"layout {known}")
    if known == "hitsz-vcm":
        lists = hitsz_vcm.read_lists(root)
        official = _official(counts, root)
        subject = _Subject(
            layout=verify_hitsz.describe(lists),
            root=root,
            checks=verify_hitsz.check_hitsz(lists, official=official),
            frames=verify_hitsz.listed_frames(lists),
        )
    elif known == "bupt-campus":
        bupt = bupt_campus.read_lists(root)
        official = _official(counts, bupt.root)
        subject = _Subject(
            layout="BUPTCampus",
            root=bupt.root,
            checks=verify_bupt.check_bupt(bupt, official=official),
            frames=verify_bupt.listed_frames(bupt, fake_ir=fake_ir),
        )
    else:
        official = False
        subject = _own(root, layout=known, strict=strict)
    checks = list(subject.checks)
    if frames != "skip":
        findings = check_frames(
            subject.root, subject.frames, decode=frames == "decode", workers=workers, progress=progress
        )
        checks += _frame_checks(findings)
    return VerifyReport(
        root=str(root), layout=subject.layout, counts="official" if official else "any", checks=tuple(checks)
    )


def _official(counts: Counts, root: Path) -> bool:
    return counts == "official" or (counts == "auto" and not (root / SIMULATION_MARK).is_file())


def _own(root: Path, *, layout: Layout, strict: bool) -> _Subject:
    checks = []
    table_file = tables.find_table(root) if layout == "table" else None
    if table_file is not None and not tables.is_tracklet_parquet(table_file):
        mixed = tables.mixed_tracklets(table_file)
        checks.append(
            none_check(
                "tracklets that mix people",
                mixed,
                warning=strict,
                todo="Mend the rows; strict keeps the frames that agree with the tracklet's first.",
            )
        )
    table = open_archive(root, layout=layout, strict=bool(checks) or strict)
    frames = dict.fromkeys(frame for row in table for frame in row.frames)
    name = {"table": f"own table {table_file}", "folder": "folder tree"}[layout]
    return _Subject(layout=name, root=table.root, checks=checks + _table_checks(table), frames=list(frames))


def _table_checks(table: TrackletTable) -> list[Check]:
    people: dict[str, set[str]] = {}
    kinds: dict[str, set[str]] = {}
    for row in table:
        if row.identity is not None:
            people.setdefault(row.identity, set()).add(row.subset)
            kinds.setdefault(row.identity, set()).add(row.modality.value)
    overlap = [
        f"identity {name} is in {', '.join(sorted(subsets))}"
        for name, subsets in sorted(people.items())
        if subsets & {"train", "auxiliary"} and subsets & {"query", "gallery"}
    ]
    single = [f"identity {name} (only {kind.pop()})" for name, kind in sorted(kinds.items()) if len(kind) < 2]
    unknown = sum(row.identity is None for row in table)
    return [
        count_check("tracklets", len(table), None),
        count_check("frames", sum(len(row.frames) for row in table), None),
        count_check("identities", len(people), None),
        Check(name="tracklets of nobody known", status=Status.OK, found=f"{unknown:,}"),
        Check(name="cameras", status=Status.OK, found=", ".join(table.cameras()) or "none named"),
        none_check(
            "identities in training and test",
            overlap,
            todo="Scores would be meaningless: move these people to one side.",
        ),
        none_check(
            "identities in one modality",
            single,
            warning=True,
            todo="They cannot be trained on across modalities (single_modality=skip leaves them out).",
        ),
    ]


def _frame_checks(findings: FrameFindings) -> list[Check]:
    again = "Unpack or download the archive again; or train with on_unreadable=replace, which counts them."
    checks = [
        none_check("missing frames", findings.missing, todo=again),
        none_check("unreadable frames", _reasons(findings.unreadable), todo=again),
        count_check("frames checked", findings.checked, None),
    ]
    if findings.sizes:
        common = [f"{w}x{h} ({count:,})" for (w, h), count in findings.sizes.most_common(3)]
        more = f" and {len(findings.sizes) - 3} other sizes" if len(findings.sizes) > 3 else ""
        checks.append(
            Check(name="frame sizes, width x height", status=Status.OK, found=", ".join(common) + more)
        )
    return checks


def _reasons(unreadable: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{frame}: {reason}" for frame, reason in unreadable]
