"""The page docs/results/suite.md: what ``trivium probe --suite real`` finds, with the circumstances of the run.

usage: TRIVIUM_DATA=FOLDER python benchmarks/suite.py [OPTION OF THE COMMAND ...]

Options go to the command as they are, such as ``--task mosi --leave-out conv-autoencoder``. Cells that an earlier call
has kept are not computed again, so the page can be made in pieces: the last call reads them all.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from results import PAGES, circumstances

from trivium.files import atomic_file, read_json, sha256_bytes, write_json


def main() -> int:
    """Run the command, then write the page and its numbers."""
    words = ["probe", "--suite", "real", *sys.argv[1:]]
    with TemporaryDirectory() as folder:
        ended = subprocess.run([sys.executable, "-m", "trivium", *words, "--out", folder]).returncode
        if ended:
            return ended
        found = read_json(Path(folder) / "suite.json")
        page = (Path(folder) / "suite.md").read_text(encoding="utf-8")
    digests = [task["facts"]["data_sha256"] for track in found["tracks"].values() for task in track["tasks"].values()]
    facts = circumstances(sha256_bytes("".join(digests).encode()))
    facts["command"] = f"trivium {shlex.join(words)}"
    told = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    made = (
        f"Made on {facts['date']} with `{facts['command']}` ({facts['machine']}; {told}; data SHA-256 "
        f"{facts['data_sha256'][:16]}; source SHA-256 {facts['source_sha256'][:16]}). Processor seconds of every row "
        "stand in the JSON file beside this page."
    )
    write_json(PAGES / "suite.json", {**facts, **found})
    with atomic_file(PAGES / "suite.md") as draft:
        draft.write_text(f"{page}\n{made}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
