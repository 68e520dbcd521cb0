"""Which Tensors show the same memory: a Tensor and its slices, transposes and other views.

Operations never write to memory, so views need no care until a Tensor is assigned to. An assignment gives a Tensor new memory,
and its views would go on showing the old: `in_the_way` finds them. Each Tensor knows its family, a list shared by all that show
the same memory, with the memory each was made with; it holds no Tensor alive. The same goes for traced arrays.
"""

from __future__ import annotations

import weakref
from typing import Any

from .backend import module_of

__all__ = ["in_the_way", "leave", "note_view"]

_LONG = 32  # entries of a family from which on those of dead Tensors are looked for


def note_view(x: Any, result: Any) -> None:
    """Enter a result that may show the memory of ``x`` into its family."""
    memory, shown = _memory(x), _memory(result)
    base = getattr(shown, "base", None)
    if base is None or (base is not memory and base is not getattr(memory, "base", None)):
        return
    family = getattr(x, "family", None)
    if family is None:
        family = x.family = [(weakref.ref(x), memory)]
    elif len(family) > _LONG:
        family[:] = [entry for entry in family if entry[0]() is not None]
    result.family = family
    family.append((weakref.ref(result), shown))


def in_the_way(x: Any, index: Any = ...) -> Any:
    """A Tensor that shows elements of ``x[index]`` as well; ``None`` if there is none."""
    family = getattr(x, "family", None) or []
    region = next((memory for known, memory in family if known() is x), None)
    if region is None:
        return None
    if all(part is None or part is Ellipsis or isinstance(part, (int, slice)) for part in _parts(index)):
        dots = (
            () if any(part is Ellipsis for part in _parts(index)) else (...,)
        )  # with them NumPy gives an array, never a number
        region = region[(*_parts(index), *dots)]
    for known, memory in family:
        other = known()
        if other is not None and other is not x and _overlap(region, memory):
            return other
    return None


def leave(x: Any) -> None:
    """Forget the family of ``x`` where nobody else is left in it; else it stays, as its memory says what lies where."""
    family = getattr(x, "family", None)
    if family is not None and all(other is None or other is x for other in [known() for known, _ in family]):
        del x.family


def _parts(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


def _memory(x: Any) -> Any:
    """What tells where the elements of a Tensor lie: its array, or the example of a traced one."""
    array = getattr(x, "array", x)
    return getattr(array, "example", array)


def _overlap(x: Any, y: Any) -> bool:
    """Whether two arrays share an element; where that takes long to find out, whether they may."""
    xp = module_of(x)
    if not xp.may_share_memory(x, y):
        return False
    try:
        return bool(xp.shares_memory(x, y, max_work=10_000))
    except (TypeError, RuntimeError):  # CuPy's takes no max_work; NumPy's gives up beyond it
        return True
