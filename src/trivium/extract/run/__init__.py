"""Many clips become a corpus: in processes, able to go on after a kill, taking over what still holds."""

__all__: list[str] = []
