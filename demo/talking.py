"""Second half of the demo: a raw clip becomes streams, words, a vector and an answer."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trivium.align import cut_into_windows
from trivium.corpus import Aligned, Corpus, Utterance
from trivium.errors import MediaError
from trivium.extract import extract_clips
from trivium.extract.choice import requests_for
from trivium.registry import load
from trivium.report import Answer, BlockFactors, MatrixPair, Note, Section, Step, Timeline, VectorStrip
from trivium.weights import LinearHead, Weights, load_weights
from trivium.weights.proof import proof_input

_PLAIN = {"text": "text", "audio": "voice", "vision": "face", "audio_whisper": "Whisper's states"}
_KINDS = {"statistics": "mean and spread", "fisher-vectors": "Fisher vector"}
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
        self.heard = self._heard()
        self.distance = float(self.head.distance(self.heard).mean())

    @property
    def words(self) -> int:
        """Number of words."""
        return len(self.utterance.words or ())

    @property
    def head(self) -> LinearHead:
        """Head of the weights."""
        return self.weights.require_head()

    def _heard(self) -> NDArray[np.float32]:
        """Vectors as the head gets them: of the modalities that it reads."""
        fitted = self.weights.fit_columns(self.aligned)
        return self.weights.transform(fitted.only(self.head.modalities) if self.head.modalities else fitted)

    def probabilities(self) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """Classes and their probabilities, averaged over the stretches of the clip."""
        shares = self.weights.predict_proba(self.aligned)
        return self.head.classes, tuple(shares.mean(axis=0).tolist())

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
        """Timeline, matrix, vector, answer, and what each block of the vector said of it."""
        return [
            Timeline.of(
                self._shown(),
                lead="The words were recognised and put in time; every word is one step. The drawings follow 52 "
                "measured expressions and the pose of the head, the curves show the voice and the face between the "
                "words.",
            ),
            self._matrix(),
            VectorStrip(self.vectors[0], lead=self._about_vector(), blocks=vector_blocks(self.weights)),
            self._answer(),
            *self._said(),
        ]

    def _shown(self) -> Utterance:
        """The utterance without streams of encoders, whose columns mean nothing to an eye."""
        streams = {name: one for name, one in self.utterance.streams.items() if name != "audio_whisper"}
        return replace(self.utterance, streams=streams)

    def _about_vector(self) -> str:
        stretch = "" if len(self.windows) == 1 else " in the first stretch of words"
        told = (
            f"Of all that was seen{stretch}: what each column is on average and how much it moves, and how the words "
            "pull at a mixture of Gaussians that was learned without labels."
        )
        if not self.head.modalities:
            return told
        return f"{told} The head below reads one that is made of {self._reads()} alone."

    def _reads(self) -> str:
        names = [_PLAIN.get(m, m) for m in self.head.modalities or self.weights.specification.modalities]
        return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]

    def _matrix(self) -> MatrixPair:
        fitted = self.weights.fit_columns(self.aligned)
        values = np.nan_to_num(self.weights.scalers.transform(fitted))  # what was not seen is hatched, not drawn
        scaled = replace(fitted, values=values, words=self.aligned.words)
        which = "" if len(self.windows) == 1 else f" Shown is the first of {len(self.windows)} stretches of the clip."
        return MatrixPair(
            scaled[:1],
            heading="The matrix: words by columns",
            lead="What goes into the vector: every word a row, with what was said, how it sounded, what the recogniser "
            f"made of the sound, and what the face did meanwhile.{which}",
        )

    def _said(self) -> list[Section]:
        """Blocks of the head, where it has any; of several stretches the mean, as the factors' geometric mean."""
        told = {name: part.mean(axis=0).tolist() for name, part in self.head.by_block(self.heard).items()}
        lead = (
            "Each block of the vector has a regression of its own, with its own strength; one weight a block joins "
            "them. So the answer is a product, and every factor can be read."
        )
        if len(self.windows) > 1:  # the answer is the mean of the stretches' probabilities, which is no product
            lead += " Of several stretches the factors' geometric mean is shown."
        return [BlockFactors(self.head.classes, told, lead=lead)] if told and self.head.classes else []

    def _answer(self) -> Answer:
        classes, shares = self.probabilities()
        return Answer(
            self.head.label,
            classes,
            shares,
            " ".join([*self._scores(), *self.weights.card.limitations]),
            lead=f"From {self._reads()} alone, by a linear head on the vector. It shows how an answer is made. "
            f"{self._doubt()}",
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


def vector_blocks(weights: Weights) -> list[tuple[str, int]]:
    """Names and lengths of what a joint vector is made of: each part for each modality, in order.

    Parts name their numbers once they are fitted, and are so here, to the synthetic matrices of the weights' proof.
    """
    some, found = proof_input(weights.config, weights.scalers), []
    for _, kind, own in weights.config.parameters.get("parts", ()):
        names = load("representation", kind)(**own).fit(some).get_feature_names_out()
        for block, members in groupby(_block(kind, str(name)) for name in names):
            found.append((block, len(list(members))))
    return found


def _block(kind: str, name: str) -> str:
    modality, _, rest = name.removeprefix("fisher.").partition(".")
    if rest == "seen":
        return "what was there"
    return f"{_KINDS.get(kind, kind)} of the {_PLAIN.get(modality, modality)}".replace("the Whisper", "Whisper")
