"""The rules: one file a subject, a function next to its derivative."""

from ..kinds import PRIMITIVES
from . import elementwise, indexing, joining, linalg, products, reductions, shaping, special

__all__ = ["PRIMITIVES", "elementwise", "indexing", "joining", "linalg", "products", "reductions", "shaping", "special"]
