"""Refuse ONNX models that reach outside themselves, without needing the onnx package where models are served."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from google.protobuf import empty_pb2, unknown_fields
from google.protobuf.message import DecodeError

from interests.errors import BundleRejected

# Where tensors hide in ONNX's messages, by field number: message -> field -> message.
_ONNX_FIELDS: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14


def refuse_external_data(file: Path, model: bytes) -> None:
    """ONNX can point to weights in other files, which no hash here covers."""
    try:
        if any(_is_external(tensor) for tensor in _tensors("model", model)):
            raise BundleRejected(f"{file}: keeps weights outside the model; export it without external data")
    except DecodeError:
        raise BundleRejected(f"{file}: is not an ONNX model") from None


def _tensors(kind: str, data: bytes) -> Iterator[bytes]:
    if kind == "tensor":
        yield data
        return
    inside = _ONNX_FIELDS[kind]
    for number, value in _fields(data):
        if number in inside and isinstance(value, bytes):
            yield from _tensors(inside[number], value)


def _is_external(tensor: bytes) -> bool:
    return any(
        number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0) for number, value in _fields(tensor)
    )


def _fields(message: bytes) -> Iterator[tuple[int, object]]:
    """Field numbers and values of any message, read without its definition."""
    # types-protobuf knows the set as a sequence by __len__ and __getitem__ alone.
    found = unknown_fields.UnknownFieldSet(empty_pb2.Empty.FromString(message))
    for index in range(len(found)):
        yield found[index].field_number, found[index].data
