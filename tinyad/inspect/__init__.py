"""The tape, and the walk over it, for people to read: `show`."""

from .show import Shown, show

__all__ = ["Shown", "show"]
