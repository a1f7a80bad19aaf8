"""The demo: a corpus of spoken words and one raw clip become vectors, answers and one HTML page.

make demo
make demo CLIP=path/to/your.mp4
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from clip import NOT_ONE_PERSON, assemble_clip, sources
from rich.console import Console

from trivium.errors import TriviumError
from trivium.report import Note, Notes, write_report

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "weights" / "talking-clips"
OUT = Path("demo-output")


def main() -> int:
    """Run the demo; a problem is one line and exit code 2."""
    given = _arguments()
    console = Console(stderr=True, highlight=False)
    try:
        page = run(given, console)
    except TriviumError as error:
        console.print(f"demo: {error}", markup=False, style="red")
        return 2
    console.print(f"\nOpen [bold]{page}[/] in a browser.", soft_wrap=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, help="a clip of your own, instead of the one put together here")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="pretrained weights with a head")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the page and everything else")
    parser.add_argument("--seeds", type=int, default=1, help="repeat the fits with so many seeds")
    return parser.parse_args()


def run(given: argparse.Namespace, console: Console) -> Path:
    """All of the demo; gives the page."""
    began = time.monotonic()

    def say(step: int, text: str) -> None:
        console.print(f"[bold cyan]{step}/4[/] {text} [dim](begun after {time.monotonic() - began:.0f} s)[/]")

    own = given.clip is not None
    say(1, f"the clip: {given.clip}" if own else "a clip, put together from a recorded face and another's voice")
    if not own:
        console.print(f"    {NOT_ONE_PERSON}", style="yellow")
    path = given.clip if own else assemble_clip(given.out / "clip.mp4")
    say(2, "the clip becomes streams, words, a vector and an answer")
    from talking import TalkingClip

    talking = TalkingClip(path, given.weights)
    say(3, "1,440 spoken utterances: fit without labels, embed, probe by actor, beside the floors")
    from speech import CREDIT, study_speech

    speech = study_speech(given.out / "probe", seeds=given.seeds)
    Console().print(speech.result.table())
    say(4, "the page")
    whose = [] if own else [Note("Not one person", NOT_ONE_PERSON), *(Note(*pair) for pair in sources())]
    page: Path = given.out / "report.html"
    write_report(
        page,
        [*talking.sections(), speech.map, speech.table, Notes((*whose, CREDIT, *talking.notes()))],
        title="A talking clip, word by word",
        lead="Words, voice and face of a person speaking, on one timeline, in one vector; and beside it what such a "
        "vector is worth on real speech.",
        notice="" if own else NOT_ONE_PERSON,
        journey=talking.journey(),
    )
    console.print(f"[dim]done in {time.monotonic() - began:.0f} s[/]")
    return page


if __name__ == "__main__":
    sys.exit(main())
