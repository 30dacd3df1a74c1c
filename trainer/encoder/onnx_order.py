"""One model, one file: nodes and tensors of an exported graph in an order and with names that its structure decides.

The exporter names tensors by memory addresses and orders nodes by hash, so that two exports of one model differ in
bytes. Here nodes are walked from the outputs back along their inputs, each behind what it needs, and numbered as they
are met: equal structure gives equal bytes, and with them a bundle's version.
"""

from typing import Any

import onnx


def renumber(model: Any) -> None:
    """Order and name what is in `model`, in place; what no output needs is left out.

    Raises ValueError for graphs inside of nodes, whose names would have to change too.
    """
    graph = model.graph
    walk = _Walk(graph)
    for output in graph.output:
        walk.towards(output.name)
    graph.ClearField("doc_string")  # holds a running number of the process
    for field in (graph.node, graph.initializer, graph.value_info):
        del field[:]
    graph.node.extend(walk.nodes)
    graph.initializer.extend(walk.constants)


class _Walk:
    """Copies of nodes and constants, in the order in which the outputs need them."""

    def __init__(self, graph: Any) -> None:
        self._made_by = {name: node for node in graph.node for name in node.output if name}
        self._values = {tensor.name: tensor for tensor in graph.initializer}
        self._names = {value.name: value.name for value in (*graph.input, *graph.output)} | {"": ""}
        self._placed: set[int] = set()
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def towards(self, output: str) -> None:
        """Place all that `output` needs. A stack of its own: the graph is deeper than Python's."""
        waiting = [(output, False)]
        while waiting:
            name, inputs_placed = waiting.pop()
            if name in self._values and name not in self._names:
                self._place_constant(name)
            node = self._made_by.get(name)
            if node is None or id(node) in self._placed:
                continue
            if inputs_placed:
                self._place(node)
            else:
                waiting.append((name, True))
                waiting.extend((needed, False) for needed in reversed(node.input))

    def _place_constant(self, name: str) -> None:
        tensor = onnx.TensorProto()
        tensor.CopyFrom(self._values[name])
        tensor.name = self._names[name] = f"constant_{len(self.constants)}"
        self.constants.append(tensor)

    def _place(self, node: Any) -> None:
        if any(attribute.type in (attribute.GRAPH, attribute.GRAPHS) for attribute in node.attribute):
            raise ValueError(f"{node.op_type}: holds a graph of its own, which cannot be renumbered")
        self._placed.add(id(node))
        number = len(self.nodes)
        for place, name in enumerate(node.output):
            self._names.setdefault(name, f"{node.op_type}_{number}_{place}")
        attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
        copy = onnx.NodeProto(op_type=node.op_type, domain=node.domain, name=f"{node.op_type}_{number}")
        copy.input.extend(self._names[name] for name in node.input)
        copy.output.extend(self._names[name] for name in node.output)
        copy.attribute.extend(attributes)
        self.nodes.append(copy)
