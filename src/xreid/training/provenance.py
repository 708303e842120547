"""Which code and which versions are running."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

import xreid

PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow", "safetensors")


def versions() -> dict[str, str]:
    """Versions of Python, xreid and the packages that results depend on."""
    found = {"python": platform.python_version(), "xreid": xreid.__version__}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def git_commit() -> str | None:
    """Commit of the checkout xreid runs from, "+changes" if files differ; None outside a checkout."""
    package = Path(xreid.__file__).resolve().parent
    # the package must be tracked: it may lie in an environment inside somebody else's checkout
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit = _git(package, "rev-parse", "HEAD")
    changed = _git(package, "status", "--porcelain", "--untracked-files=no", ".")
    return None if commit is None else commit + ("+changes" if changed else "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
