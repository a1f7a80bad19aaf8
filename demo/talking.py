"""Second half of the demo: a raw clip becomes streams, words, a vector and an answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from trivium.align import cut_into_windows
from trivium.corpus import Aligned, Corpus, Utterance
from trivium.embed import answer
from trivium.errors import MediaError
from trivium.extract import extract_clips
from trivium.report import Answer, MatrixPair, Note, Section, Step, Timeline, VectorStrip
from trivium.represent import ConvAutoencoder
from trivium.weights import Weights, load_weights

_PLAIN = {"text": "text", "audio": "voice", "vision": "face"}


class TalkingClip:
    """A clip on its way from the file to an answer.

    Parameters
    ----------
    path : Path
        The media file.
    weights : Path
        Folder of a pretrained representation with a head.

    Raises
    ------
    MediaError
        The clip cannot be read, or nobody speaks in it.
    """

    def __init__(self, path: Path, weights: Path) -> None:
        self.path = path
        self.weights: Weights = load_weights(weights)
        self.corpus: Corpus = extract_clips(path)
        self.utterance: Utterance = self.corpus[0]
        if self.utterance.words is None or not len(self.utterance.words):
            raise MediaError("nobody was heard speaking", file=path, remedy="choose a clip with English speech")
        # a long clip is cut into stretches of words, each with a vector and an answer of its own
        self.windows: Corpus = cut_into_windows(self.corpus, self.weights.config.words)
        self.aligned: Aligned = self.weights.align(self.windows, show=False)
        self.vectors = self.weights.transform(self.aligned)
        self.answers = answer(self.windows, self.weights, show=False)

    @property
    def words(self) -> int:
        """Number of words."""
        return len(self.utterance.words or ())

    def probabilities(self) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """Classes and their probabilities, averaged over the stretches of the clip."""
        classes = tuple(self.answers[0]["probabilities"])
        table = np.array([[row["probabilities"][name] for name in classes] for row in self.answers])
        return classes, tuple(table.mean(axis=0).tolist())

    def journey(self) -> list[Step]:
        """Stations of the clip for the top of the page."""
        classes, shares = self.probabilities()
        best = int(np.argmax(shares))
        modalities = ", ".join(_PLAIN.get(m, m) for m in self.utterance.streams)
        pieces = "" if len(self.windows) == 1 else f" in {len(self.windows)} stretches"
        return [
            Step("clip", f"{self.utterance.end - self.utterance.start:.1f} s", self.path.name),
            Step("streams", str(len(self.utterance.streams)), modalities),
            Step("words", str(self.words), f"one step each{pieces}"),
            Step("vector", str(self.vectors.shape[1]), "numbers, whatever the length"),
            Step("answer", classes[best], f"with {100 * shares[best]:.0f} % of the probability"),
        ]

    def sections(self) -> list[Section]:
        """Timeline, matrices, vector and answer."""
        return [
            Timeline.of(
                self.utterance,
                lead="The words were recognised and put in time; every word is one step. The drawings follow 52 "
                "measured expressions and the pose of the head, the curves show the voice and the face between the "
                "words.",
            ),
            self._matrices(),
            VectorStrip(self.vectors[0], lead="" if len(self.windows) == 1 else "Of the first stretch of words."),
            self._answer(),
        ]

    def _matrices(self) -> MatrixPair:
        fitted = self.weights.fit_columns(self.aligned)
        scaled = replace(fitted, values=self.weights.scalers.transform(fitted), words=self.aligned.words)
        decoder = ConvAutoencoder.from_pretrained(self.weights.folder, progress=False)
        which = "" if len(self.windows) == 1 else f" Shown is the first of {len(self.windows)} stretches of the clip."
        beside = (
            " The decoder also gets the places of the input's maxima, so the picture flatters the vector."
            if self.weights.config.parameters.get("unpooling") == "switches"
            else " The vector is all that the decoder gets."
        )
        return MatrixPair(
            scaled[:1],
            decoder.reconstruct(fitted[:1])[0],
            lead=f"Left, what goes into the encoder; right, what its decoder rebuilds.{beside}{which}",
        )

    def _answer(self) -> Answer:
        classes, shares = self.probabilities()
        head = self.weights.require_head()
        used = getattr(head, "modalities", ()) or self.weights.specification.modalities
        names = [_PLAIN.get(m, m) for m in used]
        reads = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else f"{names[0]} alone"
        return Answer(
            head.label,
            classes,
            shares,
            " ".join([*self._scores(), *self.weights.card.limitations]),
            lead=f"From {reads}, by a linear head on the vector. It shows how an answer is made; what the "
            "answer is worth stands below it.",
        )

    def _scores(self) -> list[str]:
        told = []
        for score in self.weights.card.scores:
            floors = ", ".join(f"{name} {value:.3f}" for name, value in score.floors.items())
            told.append(f"Measured ({score.task}): {score.metric} {score.value:.3f}; floors: {floors}.")
        return told

    def notes(self) -> list[Note]:
        """What is known of the weights."""
        card = self.weights.card
        learned = ", ".join(f"{c.utterances:,} utterances of {c.name} ({c.licence})" for c in card.corpora)
        return [Note("The weights", f"“{card.title}”, learned from {learned}. Licence: {card.licence}.")]
