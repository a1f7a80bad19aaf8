"""The demo's built-in corpus: word-aligned text and voice columns that trivium computes from RAVDESS.

Needs the folder ``$TRIVIUM_DATA/ravdess`` (``clips/*.flac``, ``meta.csv``) and what ``trivium upstream fetch`` brings.
Every clip gets its given sentence by forced alignment; one step per word; the voice is the mean over the word. What
comes out holds no sound and no transcript beyond the two sentences that all 24 actors speak.

    python benchmarks/build_ravdess_words.py --out demo/ravdess-words/corpus --work STREAMS
"""

from __future__ import annotations

import argparse
import csv
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from trivium.align import align
from trivium.corpus import Aligned, Corpus, LabelSpecification, Specification, Stream, Utterance, Words
from trivium.extract import Recording, extract_clips

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
INTENSITIES = ("normal", "strong")
LABELS = (
    LabelSpecification("emotion", "multiclass", EMOTIONS),
    LabelSpecification("intensity", "binary", INTENSITIES),
)


def recordings(data: Path) -> list[Recording]:
    """Clips of RAVDESS with their labels and groups."""
    with (data / "meta.csv").open(encoding="utf-8", newline="") as file:
        return [_recording(data, row) for row in csv.DictReader(file)]


def _recording(data: Path, row: dict[str, str]) -> Recording:
    actor, sentence = int(row["actor"]), row["statement"]
    return Recording(
        data / "clips" / f"{row['stem']}.flac",
        row["stem"],
        transcript=sentence,
        labels={"emotion": row["emotion_name"], "intensity": INTENSITIES[int(row["intensity"]) - 1]},
        groups={
            "actor": f"{actor:02d}",
            "sex": "male" if actor % 2 else "female",
            "sentence": sentence.split()[0].lower(),
            "repetition": row["repetition"],
        },
    )


def words_only(corpus: Corpus, aligned: Aligned) -> Iterator[Utterance]:
    """Utterances whose streams have one step per word; the times of the words stay."""
    edges = np.cumsum([0, *(s.dim for s in aligned.specification.streams)])
    for row, utterance in enumerate(corpus):
        steps = aligned.mask[row]
        streams = {
            spec.modality: Stream(np.ascontiguousarray(aligned.values[row, steps, edges[m] : edges[m + 1]]), spec)
            for m, spec in enumerate(aligned.specification.streams)
            if aligned.cell_mask[row, steps, m].all()
        }
        confidence = utterance.words.confidence if utterance.words else None
        words = Words(tuple(aligned.words[row, steps].tolist()), aligned.spans[row, steps], confidence)
        yield Utterance(
            utterance.id, streams, words, utterance.text, utterance.labels, utterance.groups,
            clip=utterance.clip, start=utterance.start, end=utterance.end,
        )  # fmt: skip


def provenance(corpus: Corpus) -> dict[str, Any]:
    """What ``corpus.json`` says of where this comes from."""
    return {
        **{key: corpus.provenance[key] for key in ("made_by", "models", "failures")},
        "source": "RAVDESS, speech audio: Livingstone and Russo 2018, https://doi.org/10.1371/journal.pone.0196391",
        "licence": "CC BY-NC-SA 4.0, as RAVDESS itself; see the LICENSE beside this folder",
        "made_from": "given sentence, forced alignment, mean of every voice column over each word",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TRIVIUM_DATA", ".")) / "ravdess")
    parser.add_argument("--out", type=Path, required=True, help="corpus folder to write")
    parser.add_argument("--work", type=Path, required=True, help="folder for the streams, so that a killed run goes on")
    parser.add_argument("--limit", type=int, help="only so many clips, for a trial")
    given = parser.parse_args()
    clips = recordings(given.data)[: given.limit]
    streams = (
        Corpus.open(given.work)
        if given.work.exists()
        else extract_clips(clips, given.work, modalities=["text", "audio"], labels=LABELS)
    )
    aligned = align(streams, words=max(len(u.words or ()) for u in streams), pad="right")
    spec = Specification(aligned.specification.streams, LABELS)
    made = Corpus.from_utterances(words_only(streams, aligned), spec, provenance(streams))
    made.save(given.out, overwrite=True)
    timed = Counter((f["action"], f.get("count")) for f in streams.provenance["findings"])
    size = sum(file.stat().st_size for file in given.out.iterdir())
    print(
        f"{len(made)} utterances, {size / 1e6:.2f} MB; words: {dict(timed)}; failures: {streams.provenance['failures']}"
    )


if __name__ == "__main__":
    main()
