"""Plain containers out of a pickle, without executing anything: no import, no call, no attribute is ever resolved.

This is an interpreter of the few opcodes that write None, truth values, numbers, text, bytes, lists, tuples and
dicts. Tensors and arrays, which dumps of rollouts hold beside them, become an `Opaque` mark if their builders are
among `TENSORS` (the names are compared, never looked up); any other global is refused.
"""

import re
import struct
import zipfile
from pathlib import Path
from typing import Any

from ...errors import InputError

LIMIT = 128 << 20
"""Largest pickle read, in bytes."""
BUDGET = 512 << 20
"""Bytes of Python objects that a pickle may build."""
MAX_INFLATION = 200
TENSORS = {
    "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_tensor", "torch._utils _rebuild_parameter",
    "torch FloatStorage", "torch HalfStorage", "torch BFloat16Storage", "torch DoubleStorage", "torch LongStorage",
    "torch IntStorage", "torch ShortStorage", "torch CharStorage", "torch ByteStorage", "torch BoolStorage",
    "torch.storage UntypedStorage", "torch.storage TypedStorage",
    "torch float32", "torch float16", "torch bfloat16", "torch float64", "torch int64", "torch int32", "torch bool",
    "numpy dtype", "numpy ndarray", "numpy.core.multiarray scalar", "numpy._core.multiarray scalar",
    "numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct",
    "collections OrderedDict", "_codecs encode",
}  # fmt: skip


class Opaque:
    """Stands for a value that was not built."""

    __slots__ = ()


OPAQUE, MARK = Opaque(), object()
_SMALL = re.compile(rb"(?:K.)*", re.DOTALL)


def read_torch(path: Path) -> Any:
    """The plain value in a file that `torch.save` wrote; `InputError` for anything that would need code."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = [i for i in archive.infolist() if i.filename.rpartition("/")[2] == "data.pkl"]
            if len(found) != 1:
                raise InputError(f"{path} is a zip archive without one data.pkl: not written by torch.save")
            info = found[0]
            bomb = info.file_size > MAX_INFLATION * max(info.compress_size, 1) + (1 << 20)
            if info.file_size > LIMIT or bomb:
                raise InputError(f"{path} holds a pickle that unpacks to {info.file_size >> 20} MB: too large to read")
            with archive.open(info) as stream:
                data = stream.read(LIMIT + 1)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read as a zip archive of torch.save: it is damaged or encrypted") from None
    try:
        return loads(data)
    except ValueError as reason:
        raise InputError(f"{path} is not read: {reason}; nothing in it was executed") from None


def loads(data: bytes) -> Any:
    """The value of a pickle of plain containers; ValueError, with the reason, for any other.

    >>> import pickle
    >>> loads(pickle.dumps({"samples": [{"reward": 1.0, "prompt": "q"}]}))
    {'samples': [{'reward': 1.0, 'prompt': 'q'}]}
    """
    try:
        return _Machine(data).run()
    except (IndexError, KeyError, TypeError, struct.error, UnicodeDecodeError, MemoryError, OverflowError):
        raise ValueError("its pickle is damaged") from None


class _Machine:
    def __init__(self, data: bytes) -> None:
        if len(data) > LIMIT:
            raise ValueError(f"its pickle is larger than {LIMIT >> 20} MB")
        self.data, self.at = data, 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.budget = BUDGET

    def take(self, size: int) -> bytes:
        part = self.data[self.at : self.at + size]
        if size < 0 or len(part) < size:
            raise ValueError("its pickle is cut short")
        self.at += size
        return part

    def line(self, encoding: str = "utf-8") -> str:
        end = self.data.index(b"\n", self.at)
        part, self.at = self.data[self.at : end], end + 1
        self.budget -= len(part)
        return part.decode(encoding)

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def above_mark(self) -> list[Any]:
        stack = self.stack
        at = len(stack) - 1
        while stack[at] is not MARK:
            at -= 1
            if at < 0:
                raise IndexError
        items = stack[at + 1 :]
        del stack[at:]
        return items

    def run(self) -> Any:
        data, size = self.data, len(self.data)
        while self.at < size:
            code = data[self.at]
            self.at += 1
            if code == 0x4B:  # a run of BININT1, by far the most frequent: token ids and masks
                end = _SMALL.match(data, self.at - 1).end()  # type: ignore[union-attr]
                self.stack.extend(data[self.at : end : 2])
                self.at = end
                continue
            if code == 0x2E:  # STOP
                (value,) = self.stack
                return value
            self.budget -= 64
            if self.budget < 0:
                raise ValueError(f"its pickle builds more than {BUDGET >> 20} MB")
            handler = _HANDLERS.get(code)
            if handler is None:
                raise ValueError(f"its pickle holds more than plain containers (opcode {chr(code)!r})")
            handler(self)
        raise ValueError("its pickle is cut short")


def _push(value):
    return lambda m: m.stack.append(value())


def _packed(form):
    return lambda m: m.stack.append(m.number(form))


def _text(form):
    def handler(m: _Machine) -> None:
        part = m.take(m.number(form))
        m.budget -= len(part)
        m.stack.append(part.decode("utf-8", "surrogatepass"))

    return handler


def _bytes(form):
    def handler(m: _Machine) -> None:
        part = m.take(m.number(form))
        m.budget -= len(part)
        m.stack.append(part)

    return handler


def _long(form):
    return lambda m: m.stack.append(int.from_bytes(m.take(min(m.number(form), 1 << 10)), "little", signed=True))


def _decimal(m: _Machine) -> None:
    text = m.line().removesuffix("L")
    if len(text) > 400:
        raise ValueError("its pickle is damaged")
    m.stack.append({"00": False, "01": True}[text] if text in ("00", "01") else int(text))


def _append(m: _Machine) -> None:
    value = m.stack.pop()
    _extend(m.stack[-1], [value])


def _appends(m: _Machine) -> None:
    items = m.above_mark()
    _extend(m.stack[-1], items)


def _extend(target: Any, items: list[Any]) -> None:
    if isinstance(target, list):
        target.extend(items)
    elif not isinstance(target, Opaque):
        raise TypeError


def _set_items(m: _Machine, items: list[Any]) -> None:
    target = m.stack[-1]
    if isinstance(target, dict):
        target.update(_named(items))
    elif not isinstance(target, Opaque):
        raise TypeError


def _named(items: list[Any]) -> dict[str, Any]:
    """Keys and values in turn as a record; keys that are no text get their own text."""
    keys = items[::2]
    if not all(isinstance(key, str | int | float | None) for key in keys):
        raise TypeError
    return dict(zip(map(str, keys), items[1::2], strict=True))


def _set_item(m: _Machine) -> None:
    items = m.stack[-2:]
    del m.stack[-2:]
    _set_items(m, items)


def _dict(m: _Machine) -> None:
    items = m.above_mark()
    m.stack.append(_named(items))


def _tuple(count: int):
    def handler(m: _Machine) -> None:
        items = tuple(m.stack[-count:])
        if len(items) < count or MARK in items:
            raise IndexError
        del m.stack[-count:]
        m.stack.append(items)

    return handler


def _put(index):
    def handler(m: _Machine) -> None:
        m.memo[index(m)] = m.stack[-1]

    return handler


def _get(index):
    return lambda m: m.stack.append(m.memo[index(m)])


def _global(m: _Machine) -> None:
    _accept(m, m.line(), m.line())


def _stack_global(m: _Machine) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    _accept(m, module, name)


def _accept(m: _Machine, module: Any, name: Any) -> None:
    if not (isinstance(module, str) and isinstance(name, str)) or f"{module} {name}" not in TENSORS:
        shown = "".join(c if c.isprintable() else "?" for c in f"{module}.{name}"[:80])
        raise ValueError(f"its pickle asks for {shown}, which is no plain container")
    m.stack.append(OPAQUE)


def _call(m: _Machine) -> None:
    """REDUCE, NEWOBJ of an accepted name: the call is not made."""
    m.stack.pop()
    if not isinstance(m.stack.pop(), Opaque):
        raise TypeError
    m.stack.append(OPAQUE)


def _build(m: _Machine) -> None:
    m.stack.pop()
    if not isinstance(m.stack[-1], Opaque):
        raise TypeError


def _persistent(m: _Machine) -> None:
    m.stack.pop()
    m.stack.append(OPAQUE)


_HANDLERS: dict[int, Any] = {
    ord(code): handler
    for code, handler in {
        "\x80": lambda m: m.take(1), "\x95": lambda m: m.take(8), "(": _push(lambda: MARK),
        "N": _push(lambda: None), "\x88": _push(lambda: True), "\x89": _push(lambda: False),
        "]": _push(list), "}": _push(dict), ")": _push(tuple),
        "J": _packed("<i"), "M": _packed("<H"), "G": _packed(">d"), "\x8a": _long("<B"), "\x8b": _long("<i"),
        "I": _decimal, "L": _decimal, "F": lambda m: m.stack.append(float(m.line())),
        "X": _text("<I"), "\x8c": _text("<B"), "\x8d": _text("<Q"),
        "V": lambda m: m.stack.append(m.line("raw-unicode-escape")),
        "B": _bytes("<I"), "C": _bytes("<B"), "\x8e": _bytes("<Q"), "T": _bytes("<i"), "U": _bytes("<B"),
        "a": _append, "e": _appends, "s": _set_item, "u": lambda m: _set_items(m, m.above_mark()),
        "l": lambda m: m.stack.append(m.above_mark()), "d": _dict, "t": lambda m: m.stack.append(tuple(m.above_mark())),
        "\x85": _tuple(1), "\x86": _tuple(2), "\x87": _tuple(3), "0": lambda m: m.stack.pop(),
        "1": lambda m: m.above_mark(), "2": lambda m: m.stack.append(m.stack[-1]),
        "p": _put(lambda m: int(m.line())), "q": _put(lambda m: m.number("<B")), "r": _put(lambda m: m.number("<I")),
        "\x94": _put(lambda m: len(m.memo)), "g": _get(lambda m: int(m.line())), "h": _get(lambda m: m.number("<B")),
        "j": _get(lambda m: m.number("<I")), "c": _global, "\x93": _stack_global, "R": _call, "\x81": _call,
        "b": _build, "Q": _persistent,
    }.items()
}  # fmt: skip
