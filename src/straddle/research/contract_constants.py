"""Numbers that the contracts fix and give nobody: read from their sources, which are what is compiled and deployed."""

from __future__ import annotations

import ast
import re
from functools import cache

from straddle.l1.contracts import ContractError, contracts_directory

_DECLARED = r"^{name}: (?:public\()?constant\(uint256\)\)? = (?P<value>[^#\n]+)"


@cache
def contract_constant(file: str, name: str) -> int:
    """An integer constant of a source below `contracts`, for instance ("modules/bonds.vy", "MAX_ALLOWANCE_S"). ContractError: there is none."""
    path = contracts_directory() / file
    try:
        found = re.search(_DECLARED.format(name=re.escape(name)), path.read_text(), re.MULTILINE)
    except OSError as error:
        raise ContractError(f"{path}: {error.strerror}") from error
    if found is None:
        raise ContractError(f"{file}: no constant {name}, expected one")
    return _value(file, ast.parse(found["value"].strip(), mode="eval").body)


def _value(file: str, node: ast.expr) -> int:
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.Name(id=name):
            return contract_constant(file, name)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _value(file, left) + _value(file, right)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _value(file, left) - _value(file, right)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _value(file, left) * _value(file, right)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return int(_value(file, left) ** _value(file, right))
    raise ContractError(f"{file}: {ast.unparse(node)}, expected sums, products and powers of constants")
