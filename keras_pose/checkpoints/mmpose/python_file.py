"""The assignments of a Python file, evaluated without executing it: a walk over its syntax."""

import ast
import operator
import re
from typing import Any

_FUNCTIONS = {
    **{f.__name__: f for f in (bool, dict, enumerate, float, int, len, list, max, min, range)},
    **{f.__name__: f for f in (reversed, round, set, sorted, str, sum, tuple, zip, abs)},
}
_BINARY = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY = {ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_}
_COMPARE = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
# Methods that a statement may call on a variable, and those whose value may be used.
_CHANGES = {list: ("append", "extend", "insert", "pop"), dict: ("update", "pop", "setdefault")}
_READS = {dict: ("copy", "get", "items", "keys", "values"), list: ("copy", "index")}
# Nothing in a config is larger; more would only keep this machine busy.
_LARGEST, _MOST_STEPS = 100_000, 500_000
_WIDE = re.compile(r"%[^a-zA-Z%]*(\d{4}|\*)")


class Unreadable:
    """In place of a value that cannot be read without executing the file."""

    def __init__(self, reason: str):
        self.reason = reason


class _CannotRead(Exception):
    """An expression needs more than is understood here; says what."""


def merged(base: Any, own: Any) -> Any:
    """A child's values over those of its base; `_delete_` in a dict drops the base's."""
    if not isinstance(own, dict):
        return own
    if own.get("_delete_") is True:
        return {key: value for key, value in own.items() if key != "_delete_"}
    if isinstance(base, list) and own and all(str(key).isdigit() for key in own):
        changed = list(base)
        for key, value in own.items():
            if int(key) < len(changed):
                changed[int(key)] = merged(changed[int(key)], value)
        return changed
    if not isinstance(base, dict):
        return {key: merged(None, value) for key, value in own.items()}
    return {**base, **{key: merged(base.get(key), value) for key, value in own.items()}}


class PythonFile:
    """Evaluates the statements of one file."""

    def __init__(self):
        self.variables: dict[str, Any] = {}
        self._steps = 0

    def run(self, node: ast.stmt) -> None:
        """Does what a statement does, or leaves what it assigns unreadable."""
        self._steps = 0
        try:
            self._run(node)
        except _CannotRead as error:
            self._spoil(node, str(error))
        except Exception as error:
            # Wrong arithmetic in the file fails in as many ways as there are operations.
            self._spoil(node, f"line {node.lineno}: {type(error).__name__}: {error}")

    def _spoil(self, node: ast.stmt, reason: str) -> None:
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                self.variables[part.id] = Unreadable(reason)
        changed = getattr(node, "targets", [getattr(node, "target", getattr(node, "value", None))])
        for target in changed:
            while isinstance(target, ast.Subscript | ast.Attribute | ast.Call):
                target = target.func if isinstance(target, ast.Call) else target.value
            if isinstance(target, ast.Name) and target.id in self.variables:
                self.variables[target.id] = Unreadable(reason)

    def _run(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Assign):
            value = self._value(node.value)
            for target in node.targets:
                self._assign(target, value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self._assign(node.target, self._value(node.value))
        elif isinstance(node, ast.AugAssign):
            value = self._operate(
                node.op, self._value(_loaded(node.target)), self._value(node.value)
            )
            self._assign(node.target, value)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            self._method(node.value, _CHANGES)
        elif isinstance(node, ast.Delete) and all(isinstance(t, ast.Name) for t in node.targets):
            for target in node.targets:
                self.variables.pop(target.id, None)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                name = alias.asname or alias.name.split(".")[0]
                self.variables[name] = Unreadable(f"line {node.lineno} imports {alias.name}")
        elif not isinstance(node, ast.Expr | ast.Pass):
            raise self._cannot(node)

    def _assign(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self.variables[target.id] = value
        elif isinstance(target, ast.Tuple | ast.List):
            for part, item in zip(target.elts, list(value), strict=True):
                self._assign(part, item)
        elif isinstance(target, ast.Subscript):
            self._value(target.value)[self._value(target.slice)] = value
        else:
            raise self._cannot(target)

    def _value(self, node: ast.expr) -> Any:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise _CannotRead("evaluating it takes very long")
        handler = getattr(self, f"_{type(node).__name__.lower()}", None)
        if handler is None:
            raise self._cannot(node)
        value = handler(node)
        if isinstance(value, str | list | tuple | dict | set) and len(value) > _LARGEST:
            raise _CannotRead(f"line {node.lineno} makes something very large")
        return value

    def _cannot(self, node: ast.AST) -> _CannotRead:
        return _CannotRead(
            f"line {node.lineno} has a {type(node).__name__}, which is not evaluated"
        )

    def _constant(self, node):
        return node.value

    def _name(self, node):
        if node.id not in self.variables:
            raise _CannotRead(
                f"line {node.lineno} uses {node.id}, which is not defined in the file"
            )
        value = self.variables[node.id]
        if isinstance(value, Unreadable):
            raise _CannotRead(value.reason)
        return value

    def _list(self, node):
        return [item for element in node.elts for item in self._items(element)]

    def _tuple(self, node):
        return tuple(self._list(node))

    def _set(self, node):
        return set(self._list(node))

    def _items(self, node):
        return self._value(node.value) if isinstance(node, ast.Starred) else [self._value(node)]

    def _dict(self, node):
        found = {}
        for key, value in zip(node.keys, node.values, strict=True):
            found |= self._value(value) if key is None else {self._value(key): self._value(value)}
        return found

    def _attribute(self, node):
        """A variable of a base, `_base_.model.head`; nothing else has attributes here."""
        owner = self._value(node.value)
        root = node.value
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        if not (isinstance(root, ast.Name) and root.id == "_base_" and isinstance(owner, dict)):
            raise self._cannot(node)
        if node.attr not in owner:
            raise _CannotRead(f"line {node.lineno}: the bases have no {node.attr}")
        if isinstance(owner[node.attr], Unreadable):
            raise _CannotRead(owner[node.attr].reason)
        return merged(None, owner[node.attr])

    def _subscript(self, node):
        return self._value(node.value)[self._value(node.slice)]

    def _slice(self, node):
        parts = (node.lower, node.upper, node.step)
        return slice(*(None if part is None else self._value(part) for part in parts))

    def _binop(self, node):
        return self._operate(node.op, self._value(node.left), self._value(node.right))

    def _operate(self, kind, left, right):
        if type(kind) not in _BINARY:
            raise _CannotRead(f"{type(kind).__name__} is not evaluated")
        if isinstance(kind, ast.Pow) and (abs(right) > 64 or abs(left) > 1e6):
            raise _CannotRead("a power is very large")
        if isinstance(kind, ast.Mult):
            for many, count in ((left, right), (right, left)):
                if hasattr(many, "__len__") and len(many) * count > _LARGEST:
                    raise _CannotRead("a repetition is very large")
        if isinstance(kind, ast.Mod) and isinstance(left, str) and _WIDE.search(left):
            raise _CannotRead("a text is very long")
        return _BINARY[type(kind)](left, right)

    def _unaryop(self, node):
        if type(node.op) not in _UNARY:
            raise self._cannot(node)
        return _UNARY[type(node.op)](self._value(node.operand))

    def _boolop(self, node):
        value = None
        for part in node.values:
            value = self._value(part)
            if bool(value) == isinstance(node.op, ast.Or):
                return value
        return value

    def _compare(self, node):
        left = self._value(node.left)
        for kind, right in zip(node.ops, map(self._value, node.comparators), strict=True):
            if not _COMPARE[type(kind)](left, right):
                return False
            left = right
        return True

    def _ifexp(self, node):
        return self._value(node.body if self._value(node.test) else node.orelse)

    def _joinedstr(self, node):
        parts = [
            part.value if isinstance(part, ast.Constant) else format(self._value(part.value))
            for part in node.values
            if isinstance(part, ast.Constant) or part.format_spec is None
        ]
        if len(parts) != len(node.values):
            raise self._cannot(node)
        return "".join(parts)

    def _call(self, node):
        if isinstance(node.func, ast.Attribute):
            return self._method(node, _READS)
        name = getattr(node.func, "id", None)
        if name not in _FUNCTIONS or name in self.variables:
            raise _CannotRead(f"line {node.lineno} calls {ast.unparse(node.func)}")
        arguments, named = self._arguments(node)
        if name == "range" and len(range(*arguments)) > _LARGEST:
            raise _CannotRead(f"line {node.lineno} has a very long range")
        value = _FUNCTIONS[name](*arguments, **named)
        lazy = isinstance(value, range | zip | enumerate | reversed)
        return list(value) if lazy else value

    def _method(self, node, allowed):
        if not isinstance(node.func, ast.Attribute):
            raise self._cannot(node)
        owner, name = self._value(node.func.value), node.func.attr
        if name not in allowed.get(type(owner), ()):
            raise _CannotRead(f"line {node.lineno} calls {ast.unparse(node.func)}")
        arguments, named = self._arguments(node)
        value = getattr(owner, name)(*arguments, **named)
        return list(value) if name in ("items", "keys", "values") else value

    def _arguments(self, node):
        arguments = [item for argument in node.args for item in self._items(argument)]
        named = {}
        for keyword in node.keywords:
            value = self._value(keyword.value)
            named |= value if keyword.arg is None else {keyword.arg: value}
        return arguments, named

    def _listcomp(self, node):
        found: list = []
        self._each(node.generators, lambda: found.append(self._value(node.elt)))
        return found

    _generatorexp = _listcomp

    def _setcomp(self, node):
        return set(self._listcomp(node))

    def _dictcomp(self, node):
        found: dict = {}
        self._each(
            node.generators, lambda: found.update({self._value(node.key): self._value(node.value)})
        )
        return found

    def _each(self, generators, do):
        """Runs the loops of a comprehension, whose variables end with it."""
        outside = dict(self.variables)
        try:
            self._loop(generators, do)
        finally:
            self.variables = outside

    def _loop(self, generators, do):
        if not generators:
            do()
            return
        first, *rest = generators
        for item in list(self._value(first.iter)):
            self._assign(first.target, item)
            if all(self._value(condition) for condition in first.ifs):
                self._loop(rest, do)


def _loaded(target: ast.expr) -> ast.expr:
    """The same expression, read instead of assigned."""
    copy = ast.parse(ast.unparse(target), mode="eval").body
    return ast.fix_missing_locations(ast.copy_location(copy, target))
