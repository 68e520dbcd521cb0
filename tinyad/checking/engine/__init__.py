"""Checking an engine that somebody wrote: a class whose objects remember how they were made, and can go back."""

from .check import check_engine, examine_engine
from .driver import Driver, Failure, LocalDriver

__all__ = ["Driver", "Failure", "LocalDriver", "check_engine", "examine_engine"]
