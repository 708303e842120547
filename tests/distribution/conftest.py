"""The archive of the embedding tests."""

from tests.inference.conftest import archive, table

__all__ = ["archive", "table"]
