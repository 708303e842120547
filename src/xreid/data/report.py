"""What a verification found: one check a line, with what was expected and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """How a check ended; only problems make a verification fail."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What was looked at.
        status: How it ended.
        expected: What the data set's description says, "" where there is nothing to compare with.
        found: What is there.
        todo: What the user should do, "" where nothing.
        examples: Lines or files concerned, all of them.
    """

    name: str
    status: Status
    expected: str = ""
    found: str = ""
    todo: str = ""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class VerifyReport:
    """Everything that was found about one archive.

    Attributes:
        root: The archive.
        layout: Its layout, with the tree where there are several.
        counts: "official" where the published counts had to be met, else "any".
        checks: In the order they were made.
    """

    root: str
    layout: str
    counts: str
    checks: tuple[Check, ...]

    @property
    def problems(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.status is Status.PROBLEM)

    @property
    def warnings(self) -> tuple[Check, ...]:
        """The checks that deserve a look but stop nothing."""
        return tuple(check for check in self.checks if check.status is Status.WARNING)

    @property
    def ok(self) -> bool:
        """Whether the archive can be used as it is."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {**asdict(self), "ok": self.ok}

    def lines(self, *, examples: int = 3) -> list[str]:
        """The report as text, one check a line with its first examples and what to do below."""
        head = f"{self.root}: {self.layout}, counts: {self.counts}"
        width = max(len(check.name) for check in self.checks)
        lines = [head]
        for check, after in zip(self.checks, (*self.checks[1:], None), strict=True):
            mark = {Status.OK: "ok     ", Status.WARNING: "WARNING", Status.PROBLEM: "PROBLEM"}[check.status]
            expected = f" (expected {check.expected})" if check.expected else ""
            lines.append(f"  {mark}  {check.name:<{width}}  {check.found}{expected}")
            if check.status is not Status.OK:
                lines += [f"             {example}" for example in check.examples[:examples]]
                more = len(check.examples) - examples
                lines += [f"             ... and {more} more"] if more > 0 else []
                said_next = after is not None and after.status is not Status.OK and after.todo == check.todo
                lines += [f"             -> {check.todo}"] if check.todo and not said_next else []
        warnings = f", {len(self.warnings)} warnings" if self.warnings else ""
        verdict = "no problems" if self.ok else f"{len(self.problems)} problems"
        return [*lines, f"{verdict}{warnings} in {len(self.checks)} checks"]


def count_check(
    name: str, found: int, expected: int | None, *, inferred: bool = False, todo: str = ""
) -> Check:
    """Compare a count with the published one; None for a count that may be anything.

    Counts that were inferred, not published, only warn.
    """
    failed = Status.WARNING if inferred else Status.PROBLEM
    return Check(
        name=name,
        status=Status.OK if expected is None or found == expected else failed,
        expected="" if expected is None else f"{expected:,}",
        found=f"{found:,}",
        todo=todo or "Download the archive again, or say --counts any where it is not the official one.",
    )


def none_check(
    name: str,
    examples: Iterable[str] | Sequence[str],
    *,
    todo: str,
    warning: bool = False,
    good: str = "none",
) -> Check:
    """A check that passes where no examples of the trouble were found."""
    found = tuple(examples)
    bad = Status.WARNING if warning else Status.PROBLEM
    return Check(
        name=name,
        status=bad if found else Status.OK,
        expected="none" if found else "",
        found=f"{len(found):,}" if found else good,
        todo=todo,
        examples=found,
    )
