"""What there is to extract: clips and their decoding, spans of them, labels, transcripts beside them."""

__all__: list[str] = []
