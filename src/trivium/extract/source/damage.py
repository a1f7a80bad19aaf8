"""What of a sound track or a picture could not be decoded, told for any span of the clip.

A clip is decoded from its start, and only as far as somebody needs it. What is told of a span therefore counts up to
the span's own end, so that it does not depend on the other spans that are decoded with it.
"""

from __future__ import annotations

from array import array
from math import inf

__all__ = ["Damage"]

_MOST_DAMAGE = 0.05


class Damage:
    """Packets of one track in the order in which they are read, and those that cannot be decoded.

    Parameters
    ----------
    track : str
        ``audio`` or ``video``.

    Examples
    --------
    >>> damage = Damage("video")
    >>> for second in (0.0, 1.0, 2.0):
    ...     damage.packet(second)
    >>> damage.decoded(0.0)
    >>> damage.failed()
    >>> damage.told(), damage.told(0.0)
    ('1 of 3 video packets cannot be decoded', '')
    """

    def __init__(self, track: str) -> None:
        self._track = track
        self._packets, self._failures = array("d"), array("d")
        self._last = self._reached = -inf

    def packet(self, time: float | None) -> None:
        """Count a packet.

        Parameters
        ----------
        time : float or None
            Second of the clip at which it is shown; None: unknown, as the one before it.
        """
        self._last = self._last if time is None else time
        self._packets.append(self._last)

    def decoded(self, time: float) -> None:
        """Note how far decoding has come.

        Parameters
        ----------
        time : float
            Second of the clip.
        """
        self._reached = max(self._reached, time)

    def failed(self) -> None:
        """Count a packet that cannot be decoded, at the place that decoding has reached.

        Its own time would not do: decoders in several threads tell it some packets later.
        """
        self._failures.append(self._reached)

    def told(self, end: float = inf) -> str:
        """How many packets before a second cannot be decoded; empty where all can.

        Parameters
        ----------
        end : float
            Second of the clip.
        """
        packets, failures = self._before(end)
        return f"{failures} of {packets} {self._track} packets cannot be decoded" if failures else ""

    def too_much(self, end: float = inf) -> bool:
        """Whether more than one packet in twenty before a second cannot be decoded, and not only one.

        Parameters
        ----------
        end : float
            Second of the clip.
        """
        packets, failures = self._before(end)
        return failures > max(1, _MOST_DAMAGE * packets)

    def _before(self, end: float) -> tuple[int, int]:
        failures = sum(time < end for time in self._failures)
        return (sum(time < end for time in self._packets) if failures else 0), failures
