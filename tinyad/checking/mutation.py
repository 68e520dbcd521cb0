"""All the functions that differ from a given one by a single mistake: its source is parsed, edited and compiled again.

They serve to name a mistake (the mutant of a right backward that gives the same numbers has it), and to see whether a check
notices mistakes at all.
"""

from __future__ import annotations
import __future__

import ast
import inspect
import types
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from .edits import (
    CREATING,
    EXPRESSIONS,
    FAMILIES,
    NOT_ARITHMETIC,
    PLACED,
    REDUCTIONS,
    STATEMENTS,
    WHOLES,
    Family,
    Setting,
    ones_for,
    read_call,
    returned,
)


@dataclass(frozen=True)
class Mutant:
    """A function with one mistake in it.

    Attributes:
        family: the kind of mistake, "drop factor" or "change axis"; `FAMILIES` lists all.
        realistic: whether people make it. ``a * b`` for ``a + b`` and one cached variable for another are made by machines.
        line: where the change is, in the file that the function stands in.
        before, after: the smallest expression or statement that is changed, and what it became; "" if it was removed.
        variable: the name on the left of the assignment that the change is in; "the return value" or "the second returned
            value" in a return; "the condition" of an if or a while.
        function: the changed function, with the globals, the closure and the defaults of the original.
    """

    family: str
    realistic: bool
    line: int
    before: str
    after: str
    variable: str
    function: Callable[..., Any]


def mutants(
    function: Callable[..., Any], *, families: Collection[str] | None = None, upstream: int | None = -1
) -> list[Mutant]:
    """All functions that differ from ``function`` by a single mistake, in the order of its lines.

    No two of them have the same text, and none has that of the original; that they behave differently is not said.
    ``x > 0`` and ``x >= 0`` rarely do.

    Args:
        function: written in Python, by def, in a file. Of a decorated function (``functools.wraps``) it is the one inside;
            a bound method stays bound.
        families: the kinds of mistakes to make; all of `FAMILIES` if None.
        upstream: position among the parameters (without self) of the one that holds the upstream gradient. It is the last in
            ``backward(cache, dout)`` and 0 in ``backward(dout, cache)``; None if there is none, as in a forward function.

    Raises:
        TypeError: ``function`` is a lambda, or not a function written in Python.
        ValueError: its source cannot be found, an unknown family, or no such parameter.

    >>> from tinyad.checking.mutation import mutants
    >>> def square_backward(x, dy):
    ...     return 2 * x * dy
    >>> for mutant in mutants(square_backward, families=["drop factor", "one for gy"]):
    ...     print(mutant.family, "|", mutant.before, "|", mutant.after, "|", mutant.function(3.0, 10.0))
    drop factor | 2 * x * dy | 2 * x | 6.0
    drop factor | 2 * x | 2 | 20.0
    drop factor | 2 * x | x | 30.0
    one for gy | dy | dy ** 0 | 6.0
    """
    chosen = FAMILIES if families is None else families
    for name in chosen:
        if name not in FAMILIES:
            raise ValueError(f"mutants: families names {name!r}; expected some of {', '.join(FAMILIES)}.")
    plain = _plain_function(function)
    tree = _parse(plain)
    setting = _setting(tree, plain, _upstream_name(function, plain, upstream))
    compiler = _Compiler(function, plain, tree)
    found, seen = [], {ast.unparse(tree)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # `1(x)` and the like, which an edit may well lead to
        for change in _changes(tree, setting, chosen):
            with change.place.holding(change.new):
                text = ast.unparse(tree)
                if text not in seen:
                    seen.add(text)
                    found.append(_mutant(change, compiler.function()))
    return found


# ---- the source


def _plain_function(function: Callable[..., Any]) -> types.FunctionType:
    """The function written in Python behind a decorator or a bound method."""
    plain: Any = inspect.unwrap(function) if callable(function) else function
    plain = plain.__func__ if inspect.ismethod(plain) else plain
    if not inspect.isfunction(plain):
        raise TypeError(
            f"mutants: function is {function!r}; expected a function written in Python. Of an object or a partial, give the "
            "function or the method that does the work."
        )
    if plain.__name__ == "<lambda>":
        raise TypeError(
            "mutants: function is a lambda; expected a function written with def, so that its lines can be told apart."
        )
    return plain


def _parse(function: types.FunctionType) -> ast.FunctionDef:
    """The syntax tree of a function, with the line numbers of its file, without what is only run at its definition."""
    name = function.__qualname__
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError) as error:
        raise ValueError(
            f"mutants: no source was found for {name}; expected a function defined in a file or a notebook. One made by exec or "
            "typed at a prompt has none that Python keeps: write it into a file and import it."
        ) from error
    indented = lines[0][:1].isspace()
    # Taking the indentation away would change strings of several lines.
    source = ("if True:\n" if indented else "") + "".join(lines)
    try:
        module = ast.parse(source)
        [definition] = module.body[0].body if indented else module.body  # type: ignore[attr-defined]
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"mutants: the source found for {name} is not one function: {''.join(lines[:2])!r}.") from error
    if not isinstance(definition, ast.FunctionDef):
        raise TypeError(f"mutants: {name} is a {type(definition).__name__}; expected a plain function written with def.")
    ast.increment_lineno(definition, first - 1 - indented)
    definition.decorator_list, definition.returns = [], None
    for argument in ast.walk(definition.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    return definition


def _upstream_name(function: Callable[..., Any], plain: types.FunctionType, position: int | None) -> str | None:
    if position is None:
        return None
    names = plain.__code__.co_varnames[: plain.__code__.co_argcount]
    names = names[1:] if inspect.ismethod(function) or names[:1] == ("self",) else names
    if not -len(names) <= position < len(names):
        raise ValueError(
            f"mutants: upstream={position}, but {plain.__qualname__} has {len(names)} positional parameters; expected the position "
            "of the one that holds the upstream gradient, or None."
        )
    return names[position]


def _setting(tree: ast.FunctionDef, function: types.FunctionType, upstream: str | None) -> Setting:
    """What the edits may know of the function."""
    visible = {**function.__globals__, **_closure_of(function)}
    modules = {name for name, value in visible.items() if isinstance(value, types.ModuleType)}
    numpy = {name for name in modules if visible[name].__name__ == "numpy"}
    parameters = [argument.arg for argument in ast.walk(tree.args) if isinstance(argument, ast.arg) and argument.arg != "self"]
    cached, lengths, counters, here = [], [], set(), set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                modules |= {alias.asname or alias.name for alias in names}
                here |= {alias.asname or alias.name for alias in names if alias.name == "numpy"}
            case ast.Assign(targets=[ast.Tuple(elts=elts)], value=ast.Attribute(attr="shape")):
                lengths += [target.id for target in elts if isinstance(target, ast.Name)]
            case ast.Assign(targets=[ast.Tuple(elts=elts)], value=ast.Name(id=name)) if name in parameters:
                cached += [target.id for target in elts if isinstance(target, ast.Name)]
                parameters.remove(name)
            case ast.For(target=target):
                counters |= {part.id for part in ast.walk(target) if isinstance(part, ast.Name)}
    return Setting(
        upstream=upstream,
        numpy=min(here or numpy, default=None),
        modules=frozenset(modules),
        cached=tuple(dict.fromkeys([*cached, *parameters])),
        lengths=tuple(dict.fromkeys(name for name in lengths if name != "_")),
        counters=frozenset(counters),
        first_bound=_first_bound(tree),
    )


def _closure_of(function: types.FunctionType) -> dict[str, Any]:
    """The names that a function takes from the functions around it, those that have no value yet left out."""
    values = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # the cell is empty
            values[name] = cell.cell_contents
    return values


def _first_bound(tree: ast.FunctionDef) -> dict[str, int]:
    """The lines on which names are first given a value; parameters have theirs from the start."""
    lines = {argument.arg: tree.lineno for argument in ast.walk(tree.args) if isinstance(argument, ast.arg)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            lines[node.id] = min(lines.get(node.id, node.lineno), node.lineno)
    return lines


# ---- where changes are made


class Place(NamedTuple):
    """Where a node hangs in the tree: a field of its parent, or the k-th item of a field that is a list."""

    parent: ast.AST
    field: str
    k: int | None = None

    @property
    def node(self) -> Any:
        held = getattr(self.parent, self.field)
        return held if self.k is None else held[self.k]

    def put(self, node: Any) -> None:
        if self.k is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.k] = node

    @contextmanager
    def holding(self, node: Any) -> Iterator[None]:
        """The tree with another node there, for a while."""
        held = self.node
        self.put(node)
        try:
            yield
        finally:
            self.put(held)


class Change(NamedTuple):
    """One edit: what is put in which place."""

    family: str
    realistic: bool
    place: Place
    new: Any
    line: int
    before: str
    after: str
    variable: str


def _changes(tree: ast.FunctionDef, setting: Setting, families: Collection[str]) -> Iterator[Change]:
    """All single edits of a function."""
    expressions, wholes, statements = (
        [family for family in table if family.name in families] for table in (EXPRESSIONS, WHOLES, STATEMENTS)
    )
    if "one for gy" in families:
        yield from _ones_throughout(tree, setting)
    for statement in _statements(tree.body, tree):
        for part, variable in _parts(statement, setting):
            if part == statement:
                yield from _edits(part, variable, statements, setting)
            else:
                if _is_one_value(statement.node):
                    yield from _edits(part, variable, wholes, setting)
                for place in _expressions(part, setting):
                    yield from _edits(place, variable, expressions, setting)


def _is_one_value(statement: ast.stmt) -> bool:
    """Whether the expressions of a statement are values that could have a minus: no condition, nothing to unpack."""
    match statement:
        case ast.Assign(targets=[ast.Tuple() | ast.List()], value=value):
            return isinstance(value, ast.Tuple)
    return isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Return)


def _edits(place: Place, variable: str, families: list[Family], setting: Setting) -> Iterator[Change]:
    node = place.node
    for family, realistic, edit in families:
        for new in edit(node, setting):
            new = ast.fix_missing_locations(ast.copy_location(new, node) if not hasattr(new, "lineno") else new)
            after = "" if isinstance(new, ast.Pass) else ast.unparse(new)
            yield Change(family, realistic, place, new, node.lineno, ast.unparse(node), after, variable)


def _ones_throughout(tree: ast.FunctionDef, setting: Setting) -> Iterator[Change]:
    """Ones in place of the upstream gradient wherever it is used, if that is more than once."""
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == setting.upstream]
    if len(uses) > 1 and setting.upstream is not None:
        ones = ones_for(ast.Name(setting.upstream, ast.Load()), setting)
        line = ast.copy_location(ast.Assign([ast.Name(setting.upstream, ast.Store())], ones), tree.body[0])
        body = [ast.fix_missing_locations(line), *tree.body]
        yield Change(
            "one for gy", True, Place(tree, "body"), body, tree.lineno, setting.upstream, ast.unparse(ones), setting.upstream
        )


UNTOUCHED = (ast.Assert, ast.Raise, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal, ast.Pass, ast.Delete)


def _statements(body: list[ast.stmt], parent: ast.AST, field: str = "body") -> Iterator[Place]:
    """The places of all statements, those in blocks after the line that opens the block."""
    for k, statement in enumerate(body):
        if not isinstance(statement, UNTOUCHED):
            yield Place(parent, field, k)
        for block in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(statement, block, []), statement, block)


def _parts(statement: Place, setting: Setting) -> Iterator[tuple[Place, str]]:
    """A statement and the whole expressions in it, each with the name of what it determines."""
    node = statement.node
    match node:
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if len(targets) == len(values):
            for k, target in enumerate(targets):
                yield Place(node.value, "elts", k), _written(target)
        case ast.Assign(targets=targets):
            yield statement, _written(targets[0])
            yield from ((Place(node, "targets", k), _written(t)) for k, t in enumerate(targets) if isinstance(t, ast.Subscript))
            yield Place(node, "value"), _written(targets[0])
        case ast.AugAssign(target=target):
            yield statement, _written(target)
            if isinstance(target, ast.Subscript):
                yield Place(node, "target"), _written(target)
            yield Place(node, "value"), _written(target)
        case ast.AnnAssign(target=target, value=ast.expr()):
            yield Place(node, "value"), _written(target)
        case ast.Expr(value=ast.Call() as call):
            yield statement, _updated(call, setting)
            yield Place(node, "value"), _updated(call, setting)
        case ast.Return(value=ast.expr()):
            yield statement, "the return value"
            yield from _returned_parts(node)
        case ast.For(target=target):
            yield Place(node, "iter"), _written(target)
        case ast.If() | ast.While():
            yield Place(node, "test"), "the condition"


ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


def _returned_parts(node: ast.Return) -> Iterator[tuple[Place, str]]:
    several = returned(node)
    if several is None:
        yield Place(node, "value"), "the return value"
        return
    parent, field = several
    for k in range(len(getattr(parent, field))):
        ordinal = ORDINALS[k] if k < len(ORDINALS) else f"{k + 1}th"
        yield Place(parent, field, k), f"the {ordinal} returned value"


def _written(target: ast.expr) -> str:
    """The name of what an assignment changes: d of d[i], but grads['W'] whole."""
    match target:
        case ast.Subscript(value=value, slice=index) if not (isinstance(index, ast.Constant) and isinstance(index.value, str)):
            return _written(value)
        case ast.Tuple(elts=elts) | ast.List(elts=elts):
            return ", ".join(_written(target) for target in elts)
    return ast.unparse(target)


def _updated(call: ast.Call, setting: Setting) -> str:
    """The name of what a call that stands alone changes: d of np.add.at(d, i, g), grads of grads.append(g)."""
    array = read_call(call, setting).array
    return ast.unparse(call.func) if array is None else _written(array)


def _expressions(place: Place, setting: Setting) -> Iterator[Place]:
    """The places of an expression and of all expressions in it that are calculated with; axes, lengths and indices are left out."""
    yield place
    for part in _operands(place.node, setting):
        yield from _expressions(part, setting)


def _operands(node: ast.AST, setting: Setting) -> Iterator[Place]:
    match node:
        case ast.Subscript(slice=index):
            yield Place(node, "value")
            if isinstance(index, ast.Compare | ast.UnaryOp) and not isinstance(getattr(index, "op", None), ast.USub):
                yield Place(node, "slice")  # a mask
        case ast.Attribute(attr=name):
            if name not in ("shape", "size", "ndim", "dtype"):
                yield Place(node, "value")
        case ast.Call():
            yield from _call_operands(node, setting)
        case ast.Lambda():
            yield Place(node, "body")
        case ast.JoinedStr():
            return
        case _:
            yield from _children(node)


def _call_operands(node: ast.Call, setting: Setting) -> Iterator[Place]:
    name, array, rest = read_call(node, setting)
    if name in CREATING and name != "enumerate":
        return
    if isinstance(node.func, ast.Attribute) and node.func.value is array:
        yield Place(node.func, "value")
    places = rest if name in PLACED | REDUCTIONS else rest[:1] if name == "at" else ()
    for k in range(len(node.args)):
        if k not in places:
            yield Place(node, "args", k)
    for keyword in node.keywords:
        if keyword.arg not in NOT_ARITHMETIC:
            yield Place(keyword, "value")


def _children(node: ast.AST) -> Iterator[Place]:
    for field, held in ast.iter_fields(node):
        for k, child in enumerate(held) if isinstance(held, list) else [(None, held)]:
            if isinstance(child, ast.expr):
                yield Place(node, field, k)
            elif isinstance(child, ast.comprehension):
                yield Place(child, "iter")
                yield from (Place(child, "ifs", i) for i in range(len(child.ifs)))


# ---- the changed function


def _mutant(change: Change, function: Callable[..., Any]) -> Mutant:
    family, realistic, _, _, line, before, after, variable = change
    return Mutant(family, realistic, line, before, after, variable, function)


class _Compiler:
    """Compiles the tree as it stands into a function with the surroundings of the original."""

    def __init__(self, original: Callable[..., Any], plain: types.FunctionType, tree: ast.FunctionDef) -> None:
        self.bound_to = original.__self__ if inspect.ismethod(original) else None
        self.plain = plain
        self.cells = dict(zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=True))
        self.flags = plain.__code__.co_flags & __future__.annotations.compiler_flag
        # The names of the class and of the function, which is inside it.
        self.path = [*plain.__qualname__.split(".")[-2:-1], tree.name]
        self.path = self.path[self.path[0] == "<locals>" :]
        self.module = self._surrounded(tree)

    def _surrounded(self, tree: ast.FunctionDef) -> ast.Module:
        """The definition inside a function whose parameters are the names of the closure, and inside its class if it has one.

        Only so does the compiler take the names of the closure for such, and ``self.__x`` for the name it has in the class.
        """
        parameters = ", ".join(name for name in self.cells if name != "__class__")
        module = ast.parse(f"def surroundings({parameters}):\n    pass")
        inner: Any = module.body[0]
        if len(self.path) > 1:
            inner.body = ast.parse(f"class {self.path[0]}:\n    pass").body
            [inner] = inner.body
        inner.body = [tree]
        return module

    def function(self) -> Callable[..., Any]:
        """The function of the tree as it stands now."""
        # Not the name of the file: tools that look up its source would find that of the original.
        code = compile(self.module, f"<mutant of {self.plain.__qualname__}>", "exec", self.flags, dont_inherit=True)
        for name in ("surroundings", *self.path):
            code = _inside(code, name)
        closure = tuple(self.cells[name] for name in code.co_freevars)
        made = types.FunctionType(code, self.plain.__globals__, self.path[-1], self.plain.__defaults__, closure)
        made.__kwdefaults__ = self.plain.__kwdefaults__
        made.__qualname__, made.__module__, made.__doc__ = self.plain.__qualname__, self.plain.__module__, self.plain.__doc__
        return made if self.bound_to is None else types.MethodType(made, self.bound_to)


def _inside(code: types.CodeType, name: str) -> types.CodeType:
    """The code of a function or class that is defined in some code."""
    return next(const for const in code.co_consts if isinstance(const, types.CodeType) and const.co_name == name)
