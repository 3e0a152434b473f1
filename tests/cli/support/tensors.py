"""Safetensors files: read, and made wrong."""
import array
import json
import struct

CODES = {"F32": "f", "I32": "i", "U8": "B"}


def split(path):
    """The header and the data of a file."""
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    return json.loads(raw[8:8 + size]), raw[8 + size:]


def join(path, header, data):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def read(path):
    """Tensors by name, as flat arrays of numbers."""
    header, data = split(path)
    return {name: array.array(CODES[t["dtype"]], data[slice(*t["data_offsets"])]) for name, t in header.items() if name != "__metadata__"}


def difference(a, b):
    """Largest difference relative to the largest magnitude of b."""
    return max(abs(x - y) for x, y in zip(a, b, strict=True)) / max(abs(y) for y in b)
