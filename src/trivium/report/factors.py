"""What each block of a vector says of an answer, as factors whose product is the answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trivium.errors import DataError
from trivium.report.svg import Markup, element

__all__ = ["BlockFactors"]

_MOST = 45  # per cent of colour, for the largest factor


@dataclass(frozen=True)
class BlockFactors:
    """Section of a report: how much likelier each block makes each class than the classes are on average.

    Parameters
    ----------
    classes : sequence of C str
        Columns, in the order of the blocks' numbers.
    blocks : mapping of str to sequence of C float
        What each adds to the logarithm of every class's probability, as :meth:`trivium.weights.LinearHead.by_block`
        tells it.
    heading, lead : str
        What stands above.

    Raises
    ------
    DataError
        A block tells of another number of classes.

    Examples
    --------
    >>> page = BlockFactors(("calm", "angry"), {"voice": (math.log(2), -math.log(2))}).html()
    >>> "2.00" in page, "0.50" in page
    (True, True)
    """

    classes: Sequence[str]
    blocks: Mapping[str, Sequence[float]]
    heading: str = "What each block said"
    lead: str = ""

    def __post_init__(self) -> None:
        wrong = [name for name, told in self.blocks.items() if len(told) != len(self.classes)]
        if wrong:
            raise DataError(
                f"{', '.join(wrong)} does not tell of {len(self.classes)} classes",
                remedy="give a number for each class",
            )

    def html(self) -> Markup:
        """Markup of the section."""
        total = [sum(told[k] for told in self.blocks.values()) for k in range(len(self.classes))]
        order = sorted(range(len(self.classes)), key=lambda k: -total[k])
        largest = max([1e-9, *(abs(one) for told in self.blocks.values() for one in told)])
        head = element("tr", element("th", "block"), *(element("th", self.classes[k], scope="col") for k in order))
        rows = [
            element("tr", element("th", name, scope="row"), *(_cell(told[k], largest) for k in order))
            for name, told in self.blocks.items()
        ]
        table = element("table", element("thead", head), element("tbody", *rows), class_="factors")
        caption = element(
            "figcaption",
            "Factors: 2.00 makes a class twice as likely as the classes are on average, 0.50 half as likely. Down a "
            "column they are multiplied; what the head expects before it has heard anything comes on top.",
        )
        return element("figure", element("div", table, class_="scroll"), caption)


def _cell(told: float, largest: float) -> Markup:
    if told <= 0:
        return element("td", f"{math.exp(told):.2f}", class_="down")
    return element("td", f"{math.exp(told):.2f}", class_="up", style=f"--much:{_MOST * told / largest:.0f}")
