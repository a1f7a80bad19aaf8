"""Other people's files, both ways: one module a format, each found by its content.

A format is a class registered under the kind ``format`` with a ``name``, a ``detect`` that gives the reason why a path
is of this format (or None), a ``read`` and a ``write``. Adding one is one file and one row in the registry.
"""

from trivium.formats.detect import Format, detect, read, write
from trivium.formats.findings import Finding, Findings

__all__ = ["Finding", "Findings", "Format", "detect", "read", "write"]
