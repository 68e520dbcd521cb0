"""The compiler: a traced function, its gradients included, as straight-line NumPy source."""

from .compile import Compiled, compile

__all__ = ["Compiled", "compile"]
