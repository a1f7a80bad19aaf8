"""What is said, and when: transcripts, recognition, forced alignment, doubts, cutting into utterances."""

__all__: list[str] = []
