"""The data model: utterances of several modalities, the corpus that holds them, and its form on disk."""

from trivium.corpus.batch import Aligned, Batch
from trivium.corpus.corpus import Corpus, concat
from trivium.corpus.specification import LabelSpecification, Specification, StreamSpecification
from trivium.corpus.utterance import Stream, Utterance, Words

__all__ = [
    "Aligned",
    "Batch",
    "Corpus",
    "LabelSpecification",
    "Specification",
    "Stream",
    "StreamSpecification",
    "Utterance",
    "Words",
    "concat",
]
