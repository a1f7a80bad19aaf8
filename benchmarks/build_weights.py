"""Train the two weights folders that ship beside the package, and write their cards.

Needs ``$TRIVIUM_DATA`` and what ``trivium upstream fetch`` brings. Nothing but weights comes out of the corpora.

    python benchmarks/build_weights.py covarep-facet --out weights
    python benchmarks/build_ravdess_words.py --out WORDS --work STREAMS
    python benchmarks/build_weights.py talking-clips --ravdess STREAMS --real REAL_CORPUS --out weights
    python benchmarks/build_weights.py talking-clips --ravdess STREAMS --real REAL_CORPUS --choose
    python benchmarks/build_weights.py card --out weights    # only the card of talking-clips, from the bench

REAL_CORPUS is ``trivium extract`` of the real-life clips with their transcripts; the bench makes one of the clips at
one rate and size (``trivium probe --suite real``: ``corpus`` in the folder of ``~/.cache/trivium/suite/real-life``),
which was taken here.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from talking_clips import build, choose, qualified, renew_card

from trivium.align import align
from trivium.corpus import Aligned, Corpus, concat
from trivium.formats import read
from trivium.represent import ConvAutoencoder
from trivium.weights import Card, TrainingCorpus

WORDS = 20
SEED = 42
PAPER = "Koromilas & Giannakopoulos (2021), arXiv 2110.03007; padding, schedule and rate, and {} are trivium's"
CORRECTED: dict[str, Any] = {
    "unpooling": "none",
    "padding": "ignore",
    "schedule": "plateau",
    "clip": True,
    # chosen on the held-out reconstruction of 320 utterances of covarep-facet (12 epochs): .0216, against .0400
    # with the .02 and .001 of the public code
    "learning_rate": 2e-3,
    "weight_decay": 0.0,
}
SENTINELS = ("mfn-audio-00", "mfn-audio-07")  # pile up at -255 and 255, which no measurement does


def covarep_facet(out: Path) -> None:
    """Weights on the audio and vision columns of ICT-MMMO and YouTube in the Memory Fusion Network release."""
    data = Path(os.environ["TRIVIUM_DATA"]) / "word-level"
    corpora = [
        qualified(without_sentinels(read(data / f"{name}.npz", source="mfn").select(("audio", "vision"))), name)
        for name in ("mmmo", "youtube")
    ]
    joined = concat(corpora, ["ict-mmmo", "youtube"])
    aligned = align(joined, words=WORDS)
    fitted = ConvAutoencoder(WORDS, **CORRECTED, random_state=SEED).fit(aligned)
    terms = "research release, Memory Fusion Network distribution"
    card = Card(
        "ICT-MMMO and YouTube, COVAREP and FACET columns",
        "research use only, as the corpora it learned from",
        (
            TrainingCorpus("ict-mmmo", fitted.corpora_["ict-mmmo"], terms, "Woellmer et al. (2013)"),
            TrainingCorpus("youtube", fitted.corpora_["youtube"], terms, "Morency et al. (2011)"),
        ),
        paper=PAPER.format("the switch-free decoder"),
        scores=(),
        pooled=pooled_cost(fitted, aligned),
        limitations=(
            "Fits the columns of this one distribution only: 74 audio and 36 vision columns without names, so they "
            "are positional (mfn-audio-00 ...). Features computed elsewhere do not fit, whatever their names.",
            "Steps of ICT-MMMO are averaged segments, not single words.",
            "In YouTube most utterances lack sound or picture.",
            "Audio columns 00 and 07 hold sentinels (-255, 255): taken out in training, clipped when weights are used.",
            "No score is given: on this little data only a representation refitted without the test rows counts, "
            "which is what `python benchmarks/results.py ict-mmmo` does.",
        ),
    )
    fitted.save(out / "covarep-facet", card=card, overwrite=True)


def pooled_cost(fitted: ConvAutoencoder, aligned: Aligned) -> str:
    """What scaling by pooled statistics does to the reconstruction, by corpus."""
    told = []
    for name in sorted(fitted.corpora_):
        part = aligned[aligned.group("corpus") == name]
        seen = part.column_mask()
        losses = []
        for scaler in (name, "pooled"):
            scaled = fitted.scalers_.transform(part, scaler)
            rebuilt = ConvAutoencoder(**{**fitted.get_params(), "scaler": scaler})
            rebuilt.__dict__.update({k: v for k, v in vars(fitted).items() if k.endswith("_")})
            losses.append(float(((rebuilt.reconstruct(part) - scaled) ** 2)[seen].mean()))
        told.append(f"{name}: squared error {losses[0]:.5f} with its own scaler, {losses[1]:.5f} with the pooled one")
    return "; ".join(told) + " (over seen cells, training rows included)."


def without_sentinels(corpus: Corpus) -> Corpus:
    """Audio cells at +-255 of the two columns that pile up there become NaN, which scaling reads as the minimum."""
    columns = corpus.specification.stream("audio").columns
    places = [columns.index(name) for name in SENTINELS]
    kept = []
    for utterance in corpus:
        streams = dict(utterance.streams)
        if "audio" in streams:
            values = streams["audio"].values.astype(np.float32)
            block = values[:, places]
            values[:, places] = np.where(np.abs(block) >= 255, np.nan, block)
            streams["audio"] = replace(streams["audio"], values=values)
        kept.append(replace(utterance, streams=streams))
    return Corpus.from_utterances(kept, corpus.specification, corpus.provenance)


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=("covarep-facet", "talking-clips", "card"))
    parser.add_argument("--ravdess", type=Path, help="corpus of RAVDESS with the columns of `trivium extract`")
    parser.add_argument("--real", type=Path, help="corpus of the real-life clips")
    parser.add_argument("--out", type=Path, default=Path("weights"))
    parser.add_argument("--choose", action="store_true", help="only print what options read on validation")
    given = parser.parse_args()
    if given.which == "talking-clips" and not (given.ravdess and given.real):
        parser.error("talking-clips needs --ravdess CORPUS and --real CORPUS, as `trivium extract` writes them")
    if given.which == "covarep-facet":
        covarep_facet(given.out)
    elif given.which == "card":
        renew_card(given.out / "talking-clips")
    elif given.choose:
        choose(given.ravdess, given.real)
    else:
        build(given.ravdess, given.real, given.out)


if __name__ == "__main__":
    main()
