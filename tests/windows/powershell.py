"""Reads PowerShell by a grammar (PyPI: tree-sitter, tree-sitter-powershell).

powershell.py FILE...          says where a script is none; status 1
powershell.py --values FILE    the strings that `$x = LITERAL` lines give, as a JSON list
"""

import json
import sys

import tree_sitter
import tree_sitter_powershell

parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))


def faults(node):
    if node.type == "ERROR" or node.is_missing:
        yield node
    elif node.has_error:
        for child in node.children:
            yield from faults(child)


def value(node):
    """What an expression of verbatim strings, casts to [char] and sums is, as UTF-16 code units."""
    text = node.text.decode()
    if node.type == "string_literal":
        inner = text[1:-1]
        if text[0] != "'" or text[-1] != "'" or inner.replace("''", "").count("'"):
            raise ValueError(text)
        return inner.replace("''", "'").encode("utf-16-le")
    if node.type == "cast_expression":
        kind, operand = node.named_children
        if kind.text != b"[char]":
            raise ValueError(text)
        return int(operand.text, 16).to_bytes(2, "little")
    if node.type == "additive_expression" and len(node.named_children) == 2:
        return b"".join(value(child) for child in node.named_children)
    if len(node.named_children) != 1:
        raise ValueError(f"{node.type}: {text}")
    return value(node.named_children[0])


def assignments(node):
    if node.type == "assignment_expression":
        yield node.child_by_field_name("value")
    else:
        for child in node.children:
            yield from assignments(child)


def main(arguments):
    values = arguments[:1] == ["--values"]
    status = 0
    for name in arguments[1:] if values else arguments:
        with open(name, "rb") as file:
            tree = parser.parse(file.read())
        for node in faults(tree.root_node):
            line, column = node.start_point
            print(f"{name}:{line + 1}:{column + 1}: {node.text.decode(errors='replace')[:60]!r}", file=sys.stderr)
            status = 1
        if values and not status:
            found = [value(node).decode("utf-16-le") for node in assignments(tree.root_node)]
            print(json.dumps(found))
    return status


sys.exit(main(sys.argv[1:]))
