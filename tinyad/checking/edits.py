"""The mistakes people make in a derivative written in NumPy, as edits of one node of its syntax tree.

An edit takes a node and yields what may stand in its place: ``a * b`` gives ``a`` and ``b`` by `drop_factor`. It shares the
parts that stay and changes none of them. The tables at the end list the families of edits, one a row.
"""

from __future__ import annotations

import ast
import builtins
import copy
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

Node = TypeVar("Node", bound=ast.AST)


@dataclass(frozen=True)
class Setting:
    """What an edit may know of the function around the node.

    Attributes:
        upstream: the parameter that holds the upstream gradient, or None.
        numpy: the name that NumPy goes by in the function, or None.
        modules: names of modules, to tell ``np.sum(x)`` from ``x.sum()``.
        cached: the parameters and what is unpacked from them.
        lengths: names unpacked from a shape, ``n, d = x.shape``.
        counters: variables of loops.
        first_bound: the line on which a name is first given a value.
    """

    upstream: str | None
    numpy: str | None
    modules: frozenset[str]
    cached: tuple[str, ...]
    lengths: tuple[str, ...]
    counters: frozenset[str]
    first_bound: dict[str, int]


Edit = Callable[[ast.AST, Setting], Iterator[ast.AST]]


class Family(NamedTuple):
    """A row of a table: a kind of mistake, whether people make it, and the edit that makes it."""

    name: str
    realistic: bool
    edit: Edit


# ---- parts of expressions

REDUCTIONS = {"sum", "mean", "max", "min", "amax", "amin", "prod", "var", "std", "argmax", "argmin", "any", "all", "norm"}
CUMULATIVE = {"cumsum", "cumprod"}
ARRANGING = {
    "reshape", "ravel", "flatten", "squeeze", "transpose", "swapaxes", "moveaxis", "broadcast_to", "expand_dims", "repeat",
    "tile", "flip", "roll", "pad", "tril", "triu",
}  # fmt: skip
ELEMENTWISE = {
    "exp", "expm1", "log", "log1p", "sqrt", "square", "abs", "absolute", "sign", "tanh", "sin", "cos", "arctan", "sinh", "cosh",
    "clip", "maximum", "minimum", "reciprocal", "negative", "copy", "astype",
}  # fmt: skip
DROPPED = REDUCTIONS | CUMULATIVE | ARRANGING | ELEMENTWISE
"""Calls that leave an array when they are forgotten."""

CREATING = {
    "zeros", "ones", "empty", "full", "zeros_like", "ones_like", "empty_like", "full_like", "arange", "eye", "identity", "range",
    "len", "int", "float", "enumerate", "isinstance", "print",
}  # fmt: skip
"""Calls whose arguments are lengths or models of a shape."""

PLACED = (ARRANGING | REDUCTIONS | CUMULATIVE | {"split", "take", "astype", "einsum"}) - {"roll"}
"""Calls whose arguments after the array are axes, lengths or the like."""

NOT_ARITHMETIC = {"axis", "axes", "keepdims", "dtype", "shape", "out", "order", "ddof", "ord", "mode", "optimize", "copy"}
"""Keywords that are no numbers to calculate with."""

AXIS_NEEDED = {"expand_dims", "take_along_axis", "put_along_axis", "repeat", "roll", "split"}
"""Without an axis these raise, or count in the flattened array."""


class Call(NamedTuple):
    """A call, written as ``np.sum(x, 0)`` or as ``x.sum(0)``: the name, the array, and the other arguments' positions in args."""

    name: str
    array: ast.expr | None
    rest: range


def read_call(node: ast.Call, setting: Setting) -> Call:
    """The parts of a call that the edits ask for."""
    match node.func:
        case ast.Attribute(value=owner, attr=name) if root(owner) not in setting.modules:
            return Call(name, owner, range(len(node.args)))
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return Call(name, node.args[0] if node.args else None, range(1, len(node.args)))
    return Call("", None, range(0))


def root(node: ast.expr) -> str | None:
    """The name that a chain of attributes starts from: np of np.linalg."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def changed(node: Node, **fields: Any) -> Node:
    """The node with other fields; what is not named is shared."""
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def replaced(items: list[Any], k: int, *values: Any) -> list[Any]:
    """The list with other values in place of the k-th."""
    return [*items[:k], *values, *items[k + 1 :]]


def integer(node: ast.expr | None) -> int | None:
    """The value of an integer that is spelled out, -1 included."""
    match node:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int(k)):
            return k
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(k))):
            return -k
    return None


def number(value: float) -> ast.expr:
    """A number as an expression."""
    return ast.Constant(value) if value >= 0 else ast.UnaryOp(ast.USub(), ast.Constant(-value))


def shifted(node: ast.expr, by: int) -> ast.expr:
    """An index moved by one or more: 1 to 2, t to t + 1, t - 1 to t."""
    k = integer(node)
    if k is not None:
        return number(k + by)
    match node:
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as sign, right=ast.Constant(value=int(k))):
            by += k if isinstance(sign, ast.Add) else -k
            node = left
    if by == 0:
        return node
    return ast.BinOp(node, ast.Add() if by > 0 else ast.Sub(), ast.Constant(abs(by)))


def is_chain(node: ast.expr, *operators: type[ast.operator]) -> bool:
    """Whether an expression is itself joined by one of the operators, so that leaving it out would drop several parts."""
    return isinstance(node, ast.BinOp) and isinstance(node.op, operators)


def negated(node: ast.expr) -> ast.expr:
    return node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else ast.UnaryOp(ast.USub(), node)


# ---- edits of arithmetic


def drop_factor(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """a * b to a and b, a / b to a and 1 / b, a @ b to a and b; of a longer product one factor at a time."""
    match node:
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            yield left
            if isinstance(left, ast.UnaryOp) and isinstance(left.op, ast.USub):
                yield changed(left, operand=right)
            elif not is_chain(left, ast.Mult, ast.Div):
                yield right
        case ast.BinOp(left=left, op=ast.Div()):
            yield left
            if not is_chain(left, ast.Mult, ast.Div):
                yield changed(node, left=ast.Constant(1))
        case ast.BinOp(left=left, op=ast.MatMult(), right=right):
            yield left
            if not is_chain(left, ast.MatMult):
                yield right


def drop_term(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """a + b to a and b, a - b to a and -b."""
    match node:
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as sign, right=right):
            yield left
            if not is_chain(left, ast.Add, ast.Sub):
                yield right if isinstance(sign, ast.Add) else negated(right)


def drop_one_minus(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """1 - y to y."""
    match node:
        case ast.BinOp(left=ast.Constant(), op=ast.Sub(), right=right):
            yield right


def drop_minus(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            yield operand


def negate(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """A minus before a whole right-hand side or returned value."""
    match node:
        case ast.BinOp() | ast.Name() | ast.Attribute(attr="T"):
            yield ast.UnaryOp(ast.USub(), node)
        case ast.Call() if read_call(node, setting).name not in CREATING:
            yield ast.UnaryOp(ast.USub(), node)


def exchange_signs(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """a + b to a - b and back, d += e to d -= e and back."""
    match node:
        case ast.BinOp(op=ast.Add()) | ast.AugAssign(op=ast.Add()):
            yield changed(node, op=ast.Sub())
        case ast.BinOp(op=ast.Sub()) | ast.AugAssign(op=ast.Sub()):
            yield changed(node, op=ast.Add())


OTHER_OPERATORS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult, ast.Sub),
    ast.Add: (ast.Mult,),
    ast.Sub: (ast.Mult,),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
}


def swap_operator(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """An operator for another one, as the tools of mutation testing do and people rarely."""
    match node:
        case ast.BinOp(op=op) | ast.AugAssign(op=op):
            for other in OTHER_OPERATORS.get(type(op), ()):
                yield changed(node, op=other())


SMALL = 1e-3  # numbers below are guards against division by zero, and no matter for a derivative


def change_constant(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """2 to 1 and 3, 0.5 to 1 and 1.5, 1 to 2, 3 to 1, 2 and 4, 0 to 1."""
    match node:
        case ast.Constant(value=bool()):
            return
        case ast.Constant(value=int() | float() as c) if c == 0 or abs(c) >= SMALL:
            others = [1, c + 1, *([c - 1] if isinstance(c, int) and c > 1 else [])]
            for other in dict.fromkeys(other for other in others if other != c):
                yield ast.Constant(other)


OTHER_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Gt: (ast.Lt, ast.GtE),
    ast.GtE: (ast.LtE, ast.Gt),
    ast.Lt: (ast.Gt, ast.LtE),
    ast.LtE: (ast.GtE, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}


def change_comparison(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """a > b to a < b and a >= b."""
    match node:
        case ast.Compare(ops=[op]):
            for other in OTHER_COMPARISONS.get(type(op), ()):
                yield changed(node, ops=[other()])


def drop_not(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    match node:
        case ast.UnaryOp(op=ast.Invert() | ast.Not(), operand=operand):
            yield operand


# ---- edits of matrices and axes


def is_transposed(node: ast.expr) -> bool:
    match node:
        case ast.Attribute(attr="T" | "mT") | ast.Call(func=ast.Attribute(attr="transpose" | "swapaxes" | "moveaxis")):
            return True
    return False


def drop_transpose(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    match node:
        case ast.Attribute(value=value, attr="T" | "mT"):
            yield value
        case ast.Call():
            name, array, _ = read_call(node, setting)
            if name in ("transpose", "swapaxes", "moveaxis") and array is not None:
                yield array


def add_transpose(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """a @ b to a.T @ b and a @ b.T, np.dot likewise."""
    match node:
        case ast.BinOp(left=left, op=ast.MatMult(), right=right):
            for field, operand in (("left", left), ("right", right)):
                if not is_transposed(operand):
                    yield changed(node, **{field: ast.Attribute(operand, "T", ast.Load())})
        case ast.Call(func=ast.Attribute(attr="dot" | "matmul"), args=[_, _] as args):
            for k, operand in enumerate(args):
                if not is_transposed(operand):
                    yield changed(node, args=replaced(args, k, ast.Attribute(operand, "T", ast.Load())))


def exchange_operands(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """a @ b to b @ a, a - b to b - a, np.outer(a, b) to np.outer(b, a)."""
    match node:
        case ast.BinOp(left=left, op=ast.MatMult() | ast.Sub(), right=right) if not is_chain(
            left, ast.MatMult, ast.Add, ast.Sub
        ):
            yield changed(node, left=right, right=left)
        case ast.Call(func=ast.Attribute(attr="dot" | "matmul" | "outer" | "subtract"), args=[a, b]):
            yield changed(node, args=[b, a])


def change_permutation(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """x.transpose(0, 2, 1) with two neighbours exchanged."""
    match node:
        case ast.Call():
            name, _, rest = read_call(node, setting)
            axes = [integer(node.args[k]) for k in rest]
            if name == "transpose" and len(axes) > 2 and None not in axes:
                for k in rest[:-1]:
                    args = list(node.args)
                    args[k], args[k + 1] = args[k + 1], args[k]
                    yield changed(node, args=args)


def change_subscripts(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """Subscripts of einsum with the first two letters of an operand or of the result exchanged."""
    match node:
        case ast.Call(func=ast.Attribute(attr="einsum"), args=[ast.Constant(value=str(subscripts)), *arrays]):
            words = subscripts.replace("->", ",->").split(",")
            for k, word in enumerate(words):
                letters = word.removeprefix("->").strip()
                if len(letters) >= 2:
                    swapped = word.replace(letters, letters[1] + letters[0] + letters[2:])
                    text = ",".join(replaced(words, k, swapped)).replace(",->", "->")
                    yield changed(node, args=[ast.Constant(text), *arrays])


NEXT_AXIS = {0: 1, 1: 0, -1: 0, -2: -1}


def other_axes(axis: ast.expr) -> Iterator[ast.expr]:
    """Another axis in place of an axis; of several, all but one."""
    k = integer(axis)
    if k is not None:
        yield number(NEXT_AXIS.get(k, k - 1))
    elif isinstance(axis, ast.Tuple) and len(axis.elts) > 1:
        for i in range(len(axis.elts)):
            rest = replaced(axis.elts, i)
            yield rest[0] if len(rest) == 1 else changed(axis, elts=rest)


def change_axis(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """axis=1 to axis=0 and to none; also where it is the argument after the array."""
    if not isinstance(node, ast.Call):
        return
    name, _, rest = read_call(node, setting)
    for k, keyword in enumerate(node.keywords):
        if keyword.arg == "axis" and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is None):
            for other in other_axes(keyword.value):
                yield changed(node, keywords=replaced(node.keywords, k, changed(keyword, value=other)))
            if name not in AXIS_NEEDED:
                yield changed(node, keywords=replaced(node.keywords, k))
    if name in REDUCTIONS | CUMULATIVE | {"swapaxes"} and rest and name != "norm":
        for other in other_axes(node.args[rest[0]]):
            yield changed(node, args=replaced(node.args, rest[0], other))
        if len(rest) == 1:
            yield changed(node, args=node.args[: rest[0]])


def drop_keepdims(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    match node:
        case ast.Call(keywords=keywords):
            for k, keyword in enumerate(keywords):
                if keyword.arg == "keepdims" and isinstance(keyword.value, ast.Constant) and keyword.value.value:
                    yield changed(node, keywords=replaced(keywords, k))


def add_keepdims(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    match node:
        case ast.Call(keywords=keywords):
            name, _, rest = read_call(node, setting)
            given = {keyword.arg for keyword in keywords}
            if name in REDUCTIONS and (rest or "axis" in given) and "keepdims" not in given:
                yield changed(node, keywords=[*keywords, ast.keyword("keepdims", ast.Constant(True))])


def drop_ddof(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    match node:
        case ast.Call(keywords=keywords):
            for k, keyword in enumerate(keywords):
                if keyword.arg == "ddof":
                    yield changed(node, keywords=replaced(keywords, k))


def is_new_axis(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=None) | ast.Attribute(attr="newaxis"):
            return True
    return False


def change_new_axis(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """x[:, None] to x and x[None, :]."""
    match node:
        case ast.Subscript(value=value, slice=ast.Tuple(elts=elts) as places, ctx=ast.Load()):
            for k, place in enumerate(elts):
                if is_new_axis(place):
                    rest = replaced(elts, k)
                    whole = all(isinstance(e, ast.Slice) and (e.lower, e.upper, e.step) == (None, None, None) for e in rest)
                    yield value if whole else changed(node, slice=changed(places, elts=rest))
                    other = k - 1 if k else 1
                    moved = [*rest[:other], place, *rest[other:]]
                    yield changed(node, slice=changed(places, elts=moved))


OTHER_LENGTHS = {0: 1, 1: 0, -1: 0, -2: -1}


def other_length(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """x.shape[0] to x.shape[1], x.size to x.shape[0], and another name of those unpacked from a shape."""
    match node:
        case ast.Subscript(value=ast.Attribute(attr="shape") as shape, slice=index):
            k = integer(index)
            if k is not None:
                yield changed(node, slice=number(OTHER_LENGTHS.get(k, k - 1)))
                yield changed(shape, attr="size")
        case ast.Attribute(value=value, attr="size"):
            yield ast.Subscript(ast.Attribute(value, "shape", ast.Load()), ast.Constant(0), ast.Load())
        case ast.Call(func=ast.Name(id="len"), args=[value]):
            yield ast.Attribute(value, "size", ast.Load())
        case ast.Name(id=name, ctx=ast.Load()) if name in setting.lengths:
            for other in setting.lengths:
                if other != name:
                    yield changed(node, id=other)


# ---- edits of calls and names


def exchange_function(old: str, new: str, node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    match node:
        case ast.Call(func=ast.Attribute(attr=name) as function) if name == old:
            yield changed(node, func=changed(function, attr=new))


def drop_call(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """np.exp(x) to x, x.sum(axis=0) to x, and helper(x) to x."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[array, *_]) if not hasattr(builtins, name) and name not in DROPPED:
            yield array
        case ast.Call():
            called, array_, _ = read_call(node, setting)
            if called in DROPPED and called not in ("transpose", "swapaxes", "moveaxis") and array_ is not None:
                yield array_


def exchange_branches(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """np.where(c, a, b) to np.where(c, b, a), to a and to b."""
    match node:
        case ast.Call(func=ast.Attribute(attr="where"), args=[condition, a, b]):
            yield changed(node, args=[condition, b, a])
            yield a
            yield b


def ones_for(name: ast.Name, setting: Setting) -> ast.expr:
    """Ones in the shape of an array, whether or not NumPy has a name there."""
    if setting.numpy is None:
        return ast.BinOp(name, ast.Pow(), ast.Constant(0))
    return ast.Call(ast.Attribute(ast.Name(setting.numpy, ast.Load()), "ones_like", ast.Load()), [name], [])


def one_for_gy(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    match node:
        case ast.Name(id=name, ctx=ast.Load()) if name == setting.upstream:
            yield ones_for(node, setting)


def exchange_names(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """A cached variable to the next and to the one before."""
    match node:
        case ast.Name(id=name, ctx=ast.Load()) if name in setting.cached:
            k = setting.cached.index(name)
            others = [setting.cached[(k + by) % len(setting.cached)] for by in (1, -1)]
            for other in dict.fromkeys(other for other in others if other != name):
                yield changed(node, id=other)


# ---- edits of indices and loops


def moved_bounds(place: ast.expr) -> Iterator[ast.expr]:
    """A slice with one of its bounds moved by one."""
    if not isinstance(place, ast.Slice):
        return
    for field in ("lower", "upper"):
        bound = getattr(place, field)
        if bound is None:
            continue
        for by in (1, -1):
            moved = shifted(bound, by)
            if (integer(bound), by) == (-1, 1):
                yield changed(place, **{field: None})
            elif (integer(bound), by) != (0, -1):
                yield changed(place, **{field: moved})


def moved_places(place: ast.expr, setting: Setting) -> Iterator[ast.expr]:
    """A slice or an index moved by one."""
    yield from moved_bounds(place)
    k = integer(place)
    if k is not None:
        yield from (number(k + by) for by in ((1, -1) if k > 0 else (1,) if k == 0 else (-1,)))
    elif isinstance(place, ast.Name | ast.BinOp) and _counts(place, setting):
        yield shifted(place, 1)
        yield shifted(place, -1)


def _counts(place: ast.expr, setting: Setting) -> bool:
    return any(isinstance(part, ast.Name) and part.id in setting.counters for part in ast.walk(place))


def off_by_one(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """x[1:] to x[2:] and x[0:], x[t] to x[t + 1] and x[t - 1], range(n) to range(n - 1) and range(1, n)."""
    match node:
        case ast.Subscript(value=ast.Attribute(attr="shape")):
            return
        case ast.Subscript(slice=ast.Tuple(elts=places) as whole):
            for k, place in enumerate(places):
                for other in moved_places(place, setting):
                    yield changed(node, slice=changed(whole, elts=replaced(places, k, other)))
        case ast.Subscript(slice=place):
            for other in moved_places(place, setting):
                yield changed(node, slice=other)
        case ast.Call(func=ast.Name(id="range"), args=[end]):
            yield changed(node, args=[shifted(end, -1)])
            yield changed(node, args=[ast.Constant(1), end])
        case ast.Call(func=ast.Name(id="range"), args=[start, end, *step]):
            yield changed(node, args=[shifted(start, 1), end, *step])
            yield changed(node, args=[start, shifted(end, -1), *step])


# ---- edits of statements


def assign_for_add(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """d += e to d = e."""
    match node:
        case ast.AugAssign(target=target, op=ast.Add(), value=value):
            yield ast.Assign([target], value)


def add_for_assign(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """d = e to d += e, where d has a value already."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name) as target], value=value):
            if setting.first_bound.get(name, node.lineno) < node.lineno:
                yield ast.AugAssign(target, ast.Add(), value)
        case ast.Assign(targets=[ast.Subscript() as target], value=value):
            yield ast.AugAssign(target, ast.Add(), value)


def forget_repeats(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """np.add.at(d, i, g) to d[i] += g and d[i] = g: what differs where an index comes twice."""
    match node:
        case ast.Expr(
            value=ast.Call(func=ast.Attribute(value=ast.Attribute(attr="add"), attr="at"), args=[array, index, value])
        ):
            target = ast.Subscript(array, index, ast.Store())
            yield ast.AugAssign(target, ast.Add(), value)
            yield ast.Assign([target], value)


def drop_statement(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """A statement that updates what has a value already."""
    match node:
        case ast.AugAssign() | ast.Expr(value=ast.Call()) | ast.Assign(targets=[ast.Subscript()]):
            yield ast.Pass()
        case ast.Assign(targets=[ast.Name(id=name)]) if setting.first_bound.get(name, node.lineno) < node.lineno:
            yield ast.Pass()


def returned(node: ast.AST) -> tuple[ast.expr, str] | None:
    """What is returned, if it is several values, and the field that lists them."""
    match node:
        case ast.Return(value=ast.Tuple() | ast.List() as several):
            return several, "elts"
        case ast.Return(value=ast.Dict() as several):
            return several, "values"
    return None


def exchange_returned(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """return a, b to return b, a."""
    several = returned(node)
    if several is not None:
        values = list(getattr(*several))
        for i, j in itertools.combinations(range(len(values)), 2):
            exchanged = list(values)
            exchanged[i], exchanged[j] = values[j], values[i]
            yield changed(node, value=changed(several[0], **{several[1]: exchanged}))


def return_twice(node: ast.AST, setting: Setting) -> Iterator[ast.AST]:
    """return a, b to return a, a and return b, b."""
    several = returned(node)
    if several is not None:
        values = list(getattr(*several))
        for i, j in itertools.pairwise(range(len(values))):
            for to, what in ((j, i), (i, j)):
                yield changed(node, value=changed(several[0], **{several[1]: replaced(values, to, values[what])}))


# ---- the tables

SISTERS = [
    ("sum", "mean"), ("max", "min"), ("maximum", "minimum"), ("var", "std"), ("argmax", "argmin"),
    ("sin", "cos"), ("sinh", "cosh"), ("tril", "triu"),
]  # fmt: skip

EXPRESSIONS = [
    Family("drop factor", True, drop_factor),
    Family("drop term", True, drop_term),
    Family("drop one minus", True, drop_one_minus),
    Family("drop minus", True, drop_minus),
    Family("drop transpose", True, drop_transpose),
    Family("add transpose", True, add_transpose),
    Family("exchange operands", True, exchange_operands),
    Family("change permutation", True, change_permutation),
    Family("change subscripts", True, change_subscripts),
    Family("change axis", True, change_axis),
    Family("drop keepdims", True, drop_keepdims),
    Family("add keepdims", True, add_keepdims),
    Family("drop ddof", True, drop_ddof),
    Family("change new axis", True, change_new_axis),
    *(
        Family(f"{new} for {old}", True, partial(exchange_function, old, new))
        for pair in SISTERS
        for old, new in itertools.permutations(pair)
    ),
    Family("drop call", True, drop_call),
    Family("exchange branches", True, exchange_branches),
    Family("change constant", True, change_constant),
    Family("other length", True, other_length),
    Family("change comparison", True, change_comparison),
    Family("drop not", True, drop_not),
    Family("off by one", True, off_by_one),
    Family("one for gy", True, one_for_gy),
    Family("swap operator", True, exchange_signs),
    Family("swap operator", False, swap_operator),
    Family("exchange names", False, exchange_names),
]
"""Edits of an expression wherever it stands."""

WHOLES = [Family("negate", True, negate)]
"""Edits of a whole right-hand side, or of a whole returned value."""

STATEMENTS = [
    Family("assign for add", True, assign_for_add),
    Family("add for assign", True, add_for_assign),
    Family("forget repeats", True, forget_repeats),
    Family("drop statement", True, drop_statement),
    Family("exchange returned", True, exchange_returned),
    Family("return twice", True, return_twice),
    Family("swap operator", True, exchange_signs),
    Family("swap operator", False, swap_operator),
]
"""Edits of a statement."""

FAMILIES = tuple(dict.fromkeys(family.name for family in (*EXPRESSIONS, *WHOLES, *STATEMENTS)))
"""The names of all families."""
