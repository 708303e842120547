"""Who may do what: tokens of 256 random bits, of which the file keeps only hashes.

A plain SHA-256 is enough for secrets that nobody can guess; passwords would need a slow hash.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Literal, cast

from xreid.core.errors import ConfigError, DataError
from xreid.core.files import read_json, write_json

Word = Literal["viewer", "operator", "admin"]
PREFIX = "xreid_"
_NAME = re.compile(r"[\w.@ -]{1,60}")


class Role(IntEnum):
    """What a person may do; each role may also do what those before it may."""

    VIEWER = 1  # look at cameras, tracklets, alerts
    OPERATOR = 2  # search, judge, watch, export, take in footage
    ADMIN = 3  # erase, read the audit log

    @property
    def word(self) -> Word:
        """As it is written: viewer, operator, admin."""
        return cast(Word, self.name.lower())

    @classmethod
    def of(cls, word: str) -> Role:
        """The role of that name.

        Raises:
            ConfigError: There is none.
        """
        try:
            return cls[word.upper()]
        except KeyError:
            raise ConfigError("no such role", expected="viewer, operator or admin", got=word) from None


@dataclass(frozen=True, kw_only=True)
class Token:
    """One line of a token file.

    Attributes:
        name: Whose it is; stands in the audit log.
        role: viewer, operator or admin.
        sha256: Of the token, hexadecimal.
        made: When, ISO 8601 UTC.
    """

    name: str
    role: str
    sha256: str
    made: str = ""

    def __post_init__(self) -> None:
        Role.of(self.role)
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                "a token's name is not usable", expected="1 to 60 letters, digits, . @ - _", got=self.name
            )
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ConfigError(f"the token of {self.name} has no SHA-256", got=self.sha256[:20])


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Whoever makes a request.

    Attributes:
        name: As in the audit log.
        role: What is allowed.
    """

    name: str
    role: Role


def hash_of(token: str) -> str:
    """Hexadecimal SHA-256 of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


class TokenFile:
    """The tokens of a file, read again when it changes: who is taken out is out at the next request."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int, int] | None = None
        self._by_hash: dict[str, Principal] = {}
        self.reload()

    def reload(self) -> None:
        """Read the file where it has changed.

        Raises:
            DataError: It is missing or damaged.
            ConfigError: A token in it is malformed.
        """
        try:
            found = self.path.stat()
        except OSError as error:
            raise DataError(
                f"cannot read the token file {self.path}: {error.strerror}",
                todo="Make it with `xreid serve --new_token admin --token_file FILE`.",
            ) from error
        stamp = found.st_mtime_ns, found.st_size, found.st_ino
        if stamp != self._stamp:
            tokens = read_tokens(self.path)
            self._by_hash = {t.sha256: Principal(name=t.name, role=Role.of(t.role)) for t in tokens}
            self._stamp = stamp

    def principal(self, sha256: str) -> Principal | None:
        """Whose token has this hash; None where nobody's has."""
        self.reload()
        return self._by_hash.get(sha256)


def read_tokens(path: Path) -> list[Token]:
    """The tokens of a file.

    Raises:
        DataError: It is damaged.
    """
    plain = read_json(path, what="token file")
    try:
        return [Token(**entry) for entry in plain["tokens"]]
    except (KeyError, TypeError) as error:
        raise DataError(f"token file {path} is damaged", got=str(error)) from error


def add_token(path: Path, *, role: str, name: str) -> str:
    """Make a token, store its hash, and return the token itself, which is stored nowhere.

    Raises:
        ConfigError: The name is taken or not usable, or the role does not exist.
    """
    tokens = read_tokens(path) if path.exists() else []
    if any(token.name == name for token in tokens):
        raise ConfigError(f"{path} already has a token of {name!r}", todo="Give another --token_name.")
    secret = PREFIX + secrets.token_urlsafe(32)
    made = datetime.now(UTC).isoformat(timespec="seconds")
    tokens.append(Token(name=name, role=Role.of(role).word, sha256=hash_of(secret), made=made))
    write_json(path, {"tokens": [asdict(token) for token in tokens]})
    path.chmod(0o600)
    return secret
