"""`xreid serve GALLERY`: a page and an HTTP API over a gallery, on this machine unless told otherwise."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from xreid.cli.options import parse
from xreid.core.errors import ConfigError, DataError
from xreid.serving.config import ServeConfig


@dataclass(frozen=True, kw_only=True)
class ServeOptions(ServeConfig):
    """Serve a page and an HTTP API over a gallery.

    Attributes:
        gallery: Folder of the gallery, or the address of its server.
        new_token: Make a token of this role (viewer, operator or admin), print it once, and end.
        token_name: Whose it is; stands in the audit log. Default the role.
        check: Check an audit log (audit.jsonl) or an exported case (HTML), and end.
    """

    gallery: str = ""
    new_token: str | None = None
    token_name: str | None = None
    check: Path | None = None


def main(argv: Sequence[str]) -> int:
    """Run the verb."""
    options = parse(ServeOptions, argv, verb="serve", positional=("gallery",))
    if options.new_token is not None:
        return _new_token(options)
    if options.check is not None:
        return _check(options.check)
    if not options.gallery:
        raise ConfigError("no gallery was named", expected="xreid serve GALLERY")
    _require_extra()
    from xreid.serving.server import serve

    values = {f.name: getattr(options, f.name) for f in fields(ServeConfig)}
    serve(ServeConfig(**values), tell=lambda address: _tell(address, options))
    return 0


def _tell(address: str, options: ServeOptions) -> None:
    print(f"serve: {address}", flush=True)
    if options.token_file is None:
        print("serve: no token is asked for; everybody on this machine may do everything", file=sys.stderr)
    elif not (address.startswith("https") or options.behind_tls) and options.host not in ("127.0.0.1", "::1"):
        print("serve: without https, tokens and pictures cross the network readable", file=sys.stderr)


def _new_token(options: ServeOptions) -> int:
    from xreid.serving.tokens import Role, add_token

    role = Role.of(options.new_token or "").word
    if options.token_file is None:
        raise ConfigError("where should the token's hash be kept?", expected="--token_file FILE")
    token = add_token(options.token_file, role=role, name=options.token_name or role)
    print(token)
    print(f"serve: written down nowhere else; its hash is in {options.token_file}", file=sys.stderr)
    return 0


def _check(path: Path) -> int:
    if path.suffix == ".html":
        from xreid.serving.case_page import check_case

        faults = check_case(path)
        told = "every part fits its hash"
    else:
        from xreid.retrieval.audit import check

        verdict = check(path)
        faults = [] if verdict.broken_at is None else [f"line {verdict.broken_at}: {verdict.why}"]
        told = f"{verdict.head.count} entries, unbroken; head {verdict.head.hash}"
    if faults:
        raise DataError(f"{path} was changed", got="; ".join(faults[:5]))
    print(f"{path}: {told}")
    return 0


def _require_extra() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("fastapi", "uvicorn", "prometheus_client") if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"`xreid serve` needs {', '.join(missing)}", todo="Install the extra: pip install 'xreid[serve]'."
        )
