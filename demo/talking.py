"""Second half of the demo: a raw clip becomes streams, words, a vector and an answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from trivium.align import cut_into_windows
from trivium.corpus import Aligned, Corpus, Utterance
from trivium.errors import MediaError
from trivium.extract import extract_clips
from trivium.extract.choice import requests_for
from trivium.report import Answer, MatrixPair, Note, Section, Step, Timeline, VectorStrip
from trivium.represent import ConvAutoencoder
from trivium.weights import Weights, load_weights

_PLAIN = {"text": "text", "audio": "voice", "vision": "face"}
_STRANGE = 1.5  # our choice


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
        asked = requests_for(self.weights.specification.streams)  # no columns that the weights do not take
        text, audio, vision = (asked.get(modality, "") for modality in ("text", "audio", "vision"))
        self.corpus: Corpus = extract_clips(path, text=text, audio=audio, vision=vision)
        self.utterance: Utterance = self.corpus[0]
        if self.utterance.words is None or not len(self.utterance.words):
            raise MediaError("nobody was heard speaking", file=path, remedy="choose a clip with English speech")
        # a long clip is cut into stretches of words, each with a vector and an answer of its own
        self.windows: Corpus = cut_into_windows(self.corpus, self.weights.config.words)
        self.aligned: Aligned = self.weights.align(self.windows, show=False)
        self.vectors = self.weights.transform(self.aligned)
        self.distance = self._distance()

    @property
    def words(self) -> int:
        """Number of words."""
        return len(self.utterance.words or ())

    def _distance(self) -> float:
        """How far the clip's stretches lie from what the head learned from, on average; its own lie at 1."""
        head = self.weights.require_head()
        fitted = self.weights.fit_columns(self.aligned)
        vectors = self.weights.transform(fitted.only(head.modalities) if head.modalities else fitted)
        return float(head.distance(vectors).mean())

    def probabilities(self) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """Classes and their probabilities, averaged over the stretches of the clip."""
        shares = self.weights.predict_proba(self.aligned)
        return self.weights.require_head().classes, tuple(shares.mean(axis=0).tolist())

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
            Step("answer", classes[best], self._told(shares[best])),
        ]

    def _told(self, share: float) -> str:
        if self.distance < _STRANGE:
            return f"{100 * share:.0f} % of the probability; see what it is worth"
        return "from far outside what the head learned: it means little"

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
            VectorStrip(self.vectors[0], lead=self._about_vector()),
            self._answer(),
        ]

    def _about_vector(self) -> str:
        stretch = "" if len(self.windows) == 1 else " in the first stretch of words"
        head = self.weights.require_head()
        if not head.modalities:
            return f"Of all that was seen{stretch}."
        reads = " and ".join(_PLAIN.get(m, m) for m in head.modalities)
        return f"Of all that was seen{stretch}. The head below reads one that is made of the {reads} alone."

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
        used = head.modalities or self.weights.specification.modalities
        names = [_PLAIN.get(m, m) for m in used]
        reads = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else f"{names[0]} alone"
        return Answer(
            head.label,
            classes,
            shares,
            " ".join([*self._scores(), *self.weights.card.limitations]),
            lead=f"From {reads}, by a linear head on the vector. It shows how an answer is made. {self._doubt()}",
        )

    def _doubt(self) -> str:
        told = f"The clip lies {self.distance:.1f} times as far from the middle of the head's training data as those do"
        if self.distance < _STRANGE:
            return f"{told}: nothing out of the ordinary."
        return (
            f"{told}: another microphone, room and way of speaking than it knows. However sure the head is, "
            "its answer means little here."
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
