"""The rules: one file a subject, a function next to its derivative."""

from . import elementwise, indexing, joining, linalg, products, reductions, shaping
from ..kinds import PRIMITIVES

__all__ = ["PRIMITIVES", "elementwise", "indexing", "joining", "linalg", "products", "reductions", "shaping"]
