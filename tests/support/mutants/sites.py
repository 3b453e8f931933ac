"""Where a source file can be changed by one token, and into what."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

_TWINS = [
    ("up", "down"),
    ("round_up", "round_down"),
    ("max", "min"),
    ("maximum", "minimum"),
    ("argmax", "argmin"),
    ("amax", "amin"),
    ("clamp_min", "clamp_max"),
    ("floor", "ceil"),
]
SWAPS = dict(_TWINS) | {right: left for left, right in _TWINS}
"""Names that stand for each other's opposite."""
_OPERATORS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
}


@dataclass(frozen=True, slots=True)
class Change:
    """One token of one file, replaced.

    Attributes:
        file: path from the root of the project.
        line: 1-based.
        text: that line, without the space around it.
        old: the token.
        new: what stands in its place.
        start: offset of the token in the file's bytes.
    """

    file: str
    line: int
    text: str
    old: str
    new: str
    start: int

    def applied(self, source: bytes) -> bytes:
        """The changed file."""
        end = self.start + len(self.old.encode())
        assert source[self.start : end].decode() == self.old
        return source[: self.start] + self.new.encode() + source[end:]


def changes(file: str, source: bytes) -> list[Change]:
    """Every change of a file, in order.

    Left alone: documentation, annotations, decorators, assertions, the words of errors, and what a string formats.
    """
    walk = _Walk(file, source)
    walk.visit(ast.parse(source))
    return sorted(walk.found, key=lambda change: (change.start, change.new))


@dataclass
class _Walk(ast.NodeVisitor):
    file: str
    source: bytes
    found: list[Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lines = self.source.split(b"\n")
        starts = [0]
        for line in self._lines:
            starts.append(starts[-1] + len(line) + 1)
        self._starts = starts

    def _at(self, line: int, column: int) -> int:
        return self._starts[line - 1] + column

    def _begin(self, node: ast.expr) -> int:
        return self._at(node.lineno, node.col_offset)

    def _end(self, node: ast.expr) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._at(node.end_lineno, node.end_col_offset)

    def _add(self, start: int, old: str, *news: str) -> None:
        line = self.source.count(b"\n", 0, start) + 1
        text = self._lines[line - 1].decode().strip()
        self.found += [Change(self.file, line, text, old, new, start) for new in news]

    def _between(self, left: ast.expr, right: ast.expr, operator: ast.AST) -> None:
        """The operator's token lies between its operands, among brackets and comments."""
        if type(operator) in _OPERATORS:
            old, new = _OPERATORS[type(operator)]
            gap = re.sub(
                rb"#[^\n]*", lambda found: b" " * len(found[0]), self.source[self._end(left) : self._begin(right)]
            )
            self._add(self._end(left) + gap.index(old.encode()), old, new)

    # what is left alone

    def visit_Assert(self, node: ast.Assert) -> None:
        pass

    def visit_Raise(self, node: ast.Raise) -> None:
        pass

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        pass

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for part in (*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None), *node.body):
            self.visit(part)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in node.body:
            self.visit(part)

    # what is changed

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self._between(node.left, node.right, node.op)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for left, right in pairwise(node.values):
            self._between(left, right, node.op)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for (left, right), operator in zip(pairwise([node.left, *node.comparators]), node.ops, strict=True):
            self._between(left, right, operator)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.USub):
            self._add(self._begin(node), "-", "")
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load) and node.id in SWAPS:
            self._add(self._begin(node), node.id, SWAPS[node.id])

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Load) and node.attr in SWAPS:
            self._add(self._end(node) - len(node.attr), node.attr, SWAPS[node.attr])
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
            old = self.source[self._begin(node) : self._end(node)].decode()
            self._add(self._begin(node), old, *_other_numbers(node.value))

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            names = (
                [part.id for part in target.elts if isinstance(part, ast.Name)] if isinstance(target, ast.Tuple) else []
            )
            if (
                isinstance(target, ast.Tuple)
                and len(target.elts) == len(names) == 2
                and not isinstance(node.value, ast.Tuple)
            ):
                self._swap(target, names)
        self.generic_visit(node)

    def _swap(self, target: ast.Tuple, names: list[str]) -> None:
        old = self.source[self._begin(target) : self._end(target)].decode()
        self._add(self._begin(target), old, f"{names[1]}, {names[0]}")


def _other_numbers(value: float) -> Iterator[str]:
    """Nothing, one more, a half."""
    half = value // 2 if isinstance(value, int) else value * 0.5
    for other in dict.fromkeys([type(value)(0), value + 1, half]):
        if other != value:
            yield repr(other)
