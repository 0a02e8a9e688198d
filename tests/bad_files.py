"""Files that no reader should trip over: a few hundred, made from sound ones by fixed seeds, each in its own folder.

`python -m tests.bad_files OUT` reads them all in one process of limited memory, with an alarm for each, and writes what
came of each as JSON. It is a module of its own so that a crash, a hang or a hunger for memory can be seen from outside.
"""

import gzip
import io
import json
import os
import pickle
import resource
import signal
import struct
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from irg_core import plugins
from irg_core.errors import SourceError
from irg_core.records.annotation import Rejection
from tests import motion_files

SECONDS = 10
MEMORY = 2**30
MARK = Path("/tmp") / f"bad-files-ran-code-{os.getpid()}"
"""Made by every payload that comes to run."""


@dataclass(frozen=True)
class Case:
    """A folder with one bad file in it."""

    name: str
    format: str
    make: Callable[[Path], None]
    options: dict[str, Any] = field(default_factory=dict)
    may_be_sound: bool = False  # damage that a reader need not be able to notice


class Payload:
    """Pickled, it runs code where it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (MARK,)


# --- texts ----------------------------------------------------------------------------------------------------------

BVH, ASF, AMC = motion_files.bvh(), motion_files.ASF, motion_files.amc()
FIRST_ROW = BVH.index("Frame Time: 0.05\n") + len("Frame Time: 0.05\n")
NO_NUMBERS = [
    "nan",
    "-inf",
    "1e999",
    "1_0",
    "0x10",
    "1.#IND",
    "ten",
    "1.2.3",
    "--1",
    "1e",
    "١",
    "−1",
    "\x00",
    "\x1b[2J",
]
FOREIGN: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n\t\r\n" * 50,
    "a zero byte": b"\0",
    "zeros": b"\0" * 5000,
    "noise": np.random.default_rng(1).bytes(5000),
    "more noise": np.random.default_rng(2).bytes(50_000),
    "a picture": b"\x89PNG\r\n\x1a\n" + b"\0" * 200,
    "an archive": gzip.compress(BVH.encode()),
    "a pickle": pickle.dumps(Payload()),
    "an old pickle": pickle.dumps(Payload(), 0),
    "a web page": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n",
    "a licence": b"Permission is hereby granted, free of charge, to any person obtaining a copy of this software\n" * 9,
    "JSON": json.dumps({"Loop": "wrap", "Frames": [[0.0] * 44]}).encode(),
    "nested JSON": b"[" * 100_000,
    "one long line": b"1 " * 200_000,
    "one long word": b"x" * 400_000,
    "python": b"import os\nos.system('touch " + str(MARK).encode() + b"')\n",
}


def replaced(text: str, old: str, new: str) -> bytes:
    assert old in text, old
    return text.replace(old, new, 1).encode("utf-8", "surrogatepass")


def texts(sound: str, kind: str) -> Iterator[tuple[str, bytes]]:
    """What may happen to any text: cut off, in another encoding, something else altogether."""
    for share in (0.02, 0.12, 0.3, 0.5, 0.7, 0.9):
        yield f"{kind} cut off at {share:.0%}", sound[: int(share * len(sound))].encode()
    for encoding in ("utf-16", "utf-16-le", "utf-32", "cp037"):
        yield f"{kind} in {encoding}", sound.encode(encoding)
    for name, content in FOREIGN.items():
        yield f"{kind}: {name}", content


def bvh_texts() -> Iterator[tuple[str, bytes]]:
    yield from texts(BVH, "bvh")
    for value in NO_NUMBERS:
        yield f"bvh with the number {value!r}", (BVH[:FIRST_ROW] + value + BVH[BVH.index(" ", FIRST_ROW) :]).encode()
    for count in ("23", "25", "0", "-24", "1", "1000000000000", "9" * 400, "9" * 5000, "24.0", "many", ""):
        yield f"bvh of {count[:20]} frames", replaced(BVH, "Frames: 24", f"Frames: {count}")
    for frame_time in ("0", "-0.05", "nan", "inf", "1e-400", "soon", ""):
        yield f"bvh of the frame time {frame_time!r}", replaced(BVH, "Frame Time: 0.05", f"Frame Time: {frame_time}")
    for old, new in (
        ("HIERARCHY", "HIERARCHY HIERARCHY2\nx"), ("ROOT hips", "JOINT hips"), ("ROOT hips", "ROOT"),
        ("ROOT hips", "ROOT hips\x07\x1b[31m"), ("ROOT hips", "ROOT hi\x00ps"), ("JOINT left leg", "JOINT hips"),
        ("JOINT left leg", "JOINT"), ("JOINT left leg", "ROOT left leg"), ("left leg", "rig:right_leg"),
        ("JOINT left leg\n  {", "JOINT left leg\n  {{"), ("JOINT left leg\n  {", "JOINT left leg"),
        ("End Site\n    {\n      OFFSET 0 -0.8 0", "End Site\n    {\n      JOINT toe\n{\nOFFSET 0 0 0\n}"),
        ("End Site\n    {\n      OFFSET 0 -0.8 0", "End Site\n    {"), ("\n}\nMOTION", "\nMOTION"),
        ("\n}\nMOTION", "\n}\n}\nMOTION"), ("\n}\nMOTION", "\n}\nROOT b\n{\nOFFSET 0 0 0\n}\nMOTION"),
        ("OFFSET 0 1 0", "OFFSET 0 1"), ("OFFSET 0 1 0", "OFFSET 0 1 0 0"), ("OFFSET 0 1 0", "OFFSET a b c"),
        ("OFFSET 0 1 0", "OFFSET nan 0 0"), ("OFFSET 0 1 0", "OFFSET 1e999 0 0"), ("OFFSET 0 1 0\n", "\n"),
        ("OFFSET 0.1 -0.1 0", "OFFSET 1e308 1e308 1e308"), ("CHANNELS 6", "CHANNELS 5"), ("CHANNELS 6", "CHANNELS -6"),
        ("CHANNELS 6", "CHANNELS 1e9"), ("CHANNELS 6", "CHANNELS"), ("CHANNELS 6", "CHANNELS " + "9" * 5000),
        ("Xposition Y", "Wposition Y"), ("Xposition Y", "Xscale Y"), ("Xposition ", ""), ("MOTION\n", ""),
        ("MOTION", "MOTION MOTION"), ("Frames: 24\n", ""), ("Frame Time: 0.05\n", ""), ("Frames", "Frame"),
        ("Frames: 24\nFrame Time: 0.05", "Frame Time: 0.05\nFrames: 24"),
    ):  # fmt: skip
        yield f"bvh with {new[:30]!r} for {old[:20]!r}", replaced(BVH, old, new)
    nested = "".join(f"JOINT j{depth}\n{{\nOFFSET 0 1 0\n" for depth in range(20_000)) + "}\n" * 20_000
    many = "".join(f"JOINT j{index}\n{{\nOFFSET 0 1 0\n}}\n" for index in range(20_000))
    for name, joints in (("nested 20000 deep", nested), ("of 20000 joints", many)):
        yield f"bvh {name}", replaced(BVH, "  JOINT left leg", joints + "  JOINT left leg")
    yield "bvh twice", (BVH + BVH).encode()
    yield "bvh without rows", BVH[:FIRST_ROW].encode()
    yield "bvh of endless blanks", replaced(BVH, "Frames: 24", "Frames:" + " " * 500_000 + "24")
    yield "bvh of endless lines", replaced(BVH, "MOTION", "\n" * 500_000 + "EMOTION")


def asf_texts() -> Iterator[tuple[str, bytes]]:
    yield from texts(ASF, "asf")
    for old, new in (
        (":root", ":roof"), (":bonedata", ":bones"), (":hierarchy", ":family"), ("name shin", "name thigh"),
        ("name shin", "name"), ("name shin", "name root"), ("direction 0 -1 0", "direction 0 -1"),
        ("direction 0 -1 0", "direction nan 0 0"), ("length 8", "length eight"), ("length 8", "length inf"),
        ("axis 0 0 20 XYZ", "axis 0 0"), ("axis 0 0 20 XYZ", "axis 0 0 20 ABC"), ("axis XYZ", "axis XXX"),
        ("dof rx ry rz", "dof rx ry rw"), ("dof rx ry rz", "dof l"), ("dof rx ry rz", "dof rx"),
        ("order TX TY TZ RX RY RZ", "order TX TY"), ("order TX TY TZ RX RY RZ", "order A B C"),
        ("thigh shin", "thigh shin shin"), ("thigh shin", "thigh thigh"), ("thigh shin", "shin thigh"),
        ("thigh shin", "thigh tail"), ("root thigh", "root shin"), ("root thigh", "thigh root"),
        ("root thigh\n    thigh shin", "root\n    thigh shin\n    shin thigh"), ("  begin\n    id 1", "    id 1"),
        ("position 0 0 0", "position 0 0"), ("orientation 0 0 0", "orientation a b c"),
    ):  # fmt: skip
        yield f"asf with {new[:30]!r} for {old[:20]!r}", replaced(ASF, old, new)


def amc_texts() -> Iterator[tuple[str, bytes]]:
    yield from texts(AMC, "amc")
    start = AMC.index("root ") + 5
    for value in NO_NUMBERS:
        yield f"amc with the number {value!r}", (AMC[:start] + value + AMC[AMC.index(" ", start) :]).encode()
    for old, new in (
        ("\n2\nroot", "\n3\nroot"), ("\n2\nroot", "\nroot"), ("\n2\nroot", "\n2\n2\nroot"), ("thigh", "tail"),
        ("\nshin", "\nthigh"), ("\nshin", "\nshin 0"), ("\n4\nroot", "\n4\nshin"), ("\n5\n", "\n1e3\n"),
        ("\n1\n", "\n"), ("\n1\n", "\n1000000000000\n"),
    ):  # fmt: skip
        yield f"amc with {new[:30]!r} for {old[:20]!r}", replaced(AMC, old, new)


EXPMAP = "\n".join(",".join(f"{value:g}" for value in row) for row in motion_files.numbers(24, 3 + 3 * 5) / 10) + "\n"


def map_texts() -> Iterator[tuple[str, bytes]]:
    yield from texts(EXPMAP, "map")
    for value in NO_NUMBERS:
        yield f"map with the number {value!r}", (value + EXPMAP[EXPMAP.index(",") :]).encode()
    yield "map with a column more", EXPMAP.replace("\n", ",0\n", 1).encode()
    yield "map with a column less", EXPMAP.replace(",", "", 1).encode()


def text_cases() -> Iterator[Case]:
    for name, content in bvh_texts():
        yield Case(name, "bvh", writes("bad.bvh", content, sound="one.bvh"))
    for name, content in asf_texts():
        yield Case(name, "cmu", beside(writes("bad.asf", content), writes("bad_01.amc", AMC.encode())))
    for name, content in amc_texts():
        yield Case(name, "cmu", beside(writes("bad.asf", ASF.encode()), writes("bad_01.amc", content)))
    for name, content in map_texts():
        skeleton = writes("bad_02.bvh", BVH.encode())
        yield Case(name, "cmu", beside(skeleton, writes("bad_01_expmap.txt", content)))


def writes(name: str, content: bytes, sound: str = "") -> Callable[[Path], None]:
    def make(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
        if sound:
            (root / sound).write_bytes(BVH.encode())

    return make


def beside(*parts: Callable[[Path], None]) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        for part in parts:
            part(root)

    return make


# --- arrays ---------------------------------------------------------------------------------------------------------


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def header(text: str, version: int = 1, body: bytes = b"\0" * 6336) -> bytes:
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(text)) + text.encode() + body


def npy_files(sound: np.ndarray) -> Iterator[tuple[str, bytes]]:
    """What may be in a file named *.npy; `sound` is what should be."""
    whole = npy(sound)
    for share in (0.02, 0.3, 0.6, 0.99):
        yield f"cut off at {share:.0%}", whole[: int(share * len(whole))]
    yield "with more at its end", whole + b"\0" * 100
    for name, content in FOREIGN.items():
        yield name, content
    broken = np.array(sound)
    broken[3, 5] = np.nan
    endless = np.array(sound)
    endless[-1, 0] = np.inf
    for name, array in (
        ("NaN", broken), ("infinity", endless), ("no frames", sound[:0]), ("one frame", sound[:1]),
        ("no dimension", np.array(1.0)), ("one dimension", sound.ravel()), ("two dimensions", sound.reshape(-1, 1)),
        ("four dimensions", sound[None]), ("a joint more", np.concatenate([sound, sound[:, :1]], axis=1)),
        ("a joint less", sound[:, 1:]), ("complex numbers", sound.astype(complex)), ("texts", sound.astype(str)),
        ("truths", sound > 0), ("dates", np.zeros(sound.shape, "datetime64[s]")),
        ("structures", np.zeros(sound.shape, [("a", "<f4")])), ("bytes", np.zeros(sound.shape, "V8")),
        ("objects", np.array([Payload()] * 3, dtype=object)), ("an object", np.array(Payload(), dtype=object)),
        ("lists", np.array([[1], [2, 3]], dtype=object)),
    ):  # fmt: skip
        yield f"of {name}", npy(array)
    form = "{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}\n"
    for name, text in (
        ("an absurd length", form.format("<f4", False, "(1000000000000, 22, 3)")),
        ("an absurd product", form.format("<f4", False, "(9999999999, 9999999999, 9999999999)")),
        ("a negative length", form.format("<f4", False, "(-24, 22, 3)")),
        ("many dimensions", form.format("<f4", False, "(" + "1, " * 60 + ")")),
        ("numbers of no size", form.format("<U0", False, "(1000000000000, 22, 3)")),
        ("numbers of absurd size", form.format("<U999999999", False, "(1,)")),
        ("code for a shape", form.format("<f4", False, f"__import__('pathlib').Path('{MARK}').touch()")),
        ("code for a header", f"__import__('pathlib').Path('{MARK}').touch()\n"),
        ("nested brackets", "(" * 4000), ("no header", ""), ("half a header", "{'descr': '<f4', "),
        ("another order", form.format("<f4", "Maybe", "(24, 22, 3)")), ("a pickle", form.format("|O", False, "(24,)")),
    ):  # fmt: skip
        yield f"with {name}", header(text)
    yield "of version 9", header(form.format("<f4", False, "(24, 22, 3)"), version=9)
    yield "with a header longer than the file", b"\x93NUMPY\x01\0\xff\xff" + b"{"


def archive(arrays: dict[str, Any], **how: Any) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **{"compression": zipfile.ZIP_DEFLATED} | how) as packed:
        for name, content in arrays.items():
            packed.writestr(f"{name}.npy", content if isinstance(content, bytes) else npy(content))
    return file.getvalue()


AMASS: dict[str, Any] = {
    "poses": motion_files.numbers(24, 156) / 10,
    "trans": motion_files.numbers(24, 3) / 10,
    "mocap_framerate": np.array(60.0),
}


def declared(size: int, content: bytes) -> bytes:
    """An archive whose table of contents lies about how large its first member is, in both places."""
    place = content.index(b"PK\x01\x02")
    lying = bytearray(content)
    lying[22:26] = lying[place + 24 : place + 28] = struct.pack("<I", size)
    return bytes(lying)


def npz_files() -> Iterator[tuple[str, bytes]]:
    whole = archive(AMASS)
    for share in (0.02, 0.2, 0.5, 0.8, 0.99):
        yield f"cut off at {share:.0%}", whole[: int(share * len(whole))]
    for name, content in FOREIGN.items():
        yield name, content
    for name, content in npy_files(AMASS["poses"][:, :66].reshape(24, 22, 3)):
        if name.startswith(("of", "with")):
            yield f"with poses {name}", archive(AMASS | {"poses": content})
    without = [{key: value for key, value in AMASS.items() if key != name} for name in ("poses", "trans")]
    for name, arrays in (
        ("without poses", without[0]), ("without places", without[1]), ("without anything", {}),
        ("with a shape alone", {"betas": np.zeros(16)}),
        ("with a rate of 0", AMASS | {"mocap_framerate": np.array(0.0)}),
        ("with a rate of NaN", AMASS | {"mocap_framerate": np.array(np.nan)}),
        ("with a rate below 0", AMASS | {"mocap_framerate": np.array(-60.0)}),
        ("with a rate in words", AMASS | {"mocap_framerate": np.array("sixty")}),
        ("with many rates", AMASS | {"mocap_framerate": np.zeros(5)}),
        ("with places for fewer frames", AMASS | {"trans": np.zeros((23, 3))}),
        ("with flat places", AMASS | {"trans": np.zeros((24, 2))}),
        ("with an infinite place", AMASS | {"trans": np.full((24, 3), np.inf)}),
        ("with poses of another width", AMASS | {"poses": np.zeros((24, 100))}),
        ("with poses of NaN", AMASS | {"poses": np.full((24, 156), np.nan)}),
        ("with names that climb", {f"../../{key}": value for key, value in AMASS.items()}),
        ("with names of control signs", {f"{key}\x1b[2J\n": value for key, value in AMASS.items()}),
    ):  # fmt: skip
        yield name, archive(arrays)
    yield "packed with lzma", archive(AMASS, compression=zipfile.ZIP_LZMA)
    yield "packed with bzip2", archive(AMASS, compression=zipfile.ZIP_BZIP2)
    yield "a bomb", archive(AMASS | {"poses": bytes(300 * 2**20)}, compresslevel=1)
    small_bomb = archive({"poses": bytes(200 * 2**20)} | {key: AMASS[key] for key in ("trans", "mocap_framerate")})
    for size in (0, 1000, 2**28 - 1, 2**32 - 2):
        yield f"a bomb that says it has {size} bytes", declared(size, small_bomb)
    yield "with an absurd table of contents", archive({f"array_{index:06d}": b"" for index in range(20_000)})
    yield "with a comment", whole[:-2] + b"\x05\0hello"
    secret = bytearray(whole)
    place = whole.index(b"PK\x01\x02")
    secret[6] |= 1
    secret[place + 8] |= 1
    yield "encrypted", bytes(secret)
    damaged = bytearray(whole)
    damaged[len(whole) // 3] ^= 0xFF
    yield "with a damaged byte", bytes(damaged)


def parquet_files() -> Iterator[tuple[str, bytes]]:
    whole = parquet([{"name": "a", "fps": 25.0, "joints": motion_files.joints().tolist()}])
    for share in (0.02, 0.3, 0.6, 0.99):
        yield f"cut off at {share:.0%}", whole[: int(share * len(whole))]
    for name, content in FOREIGN.items():
        yield name, content
    body = motion_files.joints().tolist()
    for name, row in (
        ("without joints", {"name": "a", "motion": body}), ("of texts", {"joints": [[["a"] * 3] * 22] * 5}),
        ("of a number", {"joints": 1.0}), ("of nothing", {"joints": None}), ("of no frames", {"joints": []}),
        ("of a flat list too long", {"joints": [0.0] * 67}), ("of ragged frames", {"joints": [*body[:3], body[3][:9]]}),
        ("of NaN", {"joints": [[[float("nan")] * 3] * 22] * 5}),
        ("of four numbers", {"joints": [[[1.0] * 4] * 22] * 5}),
        ("of missing numbers", {"joints": [[[None, 1.0, 1.0]] * 22] * 5}), ("of one frame", {"joints": body[:1]}),
        ("of pickles", {"joints": pickle.dumps(Payload())}),
    ):  # fmt: skip
        yield name, parquet([row])
    bomb = io.BytesIO()
    zeros = pa.array([0.0]).take(pa.array(np.zeros(30_000_000, dtype=np.int32)))
    pq.write_table(pa.table({"joints": pa.ListArray.from_arrays([0, len(zeros)], zeros)}), bomb)
    yield "a bomb", bomb.getvalue()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


def array_cases() -> Iterator[Case]:
    said = {"order": "t2m", "fps": 20}
    for name, content in npy_files(motion_files.joints()):
        yield Case(f"npy {name}", "joints", writes("bad.npy", content), said)
    for name, content in npz_files():
        yield Case(f"npz {name}", "amass", writes("bad.npz", content))
    for name, content in parquet_files():
        yield Case(f"parquet {name}", "joints", writes("bad.parquet", content), said)
    for format_name, shape in (("humanml3d", (22, 3)), ("kitml", (21, 3))):
        for name, content in list(npy_files(motion_files.numbers(24, *shape)))[-40::2]:
            yield Case(f"{format_name} joints {name}", format_name, writes("new_joints/000001.npy", content))
    for name, array in (
        ("joints", np.zeros((9, 22, 3))),
        ("kit's", np.zeros((9, 251))),
        ("NaN", np.full((9, 263), np.nan)),
    ):
        make = writes("new_joint_vecs/000001.npy", npy(array))
        yield Case(f"humanml3d features of {name}", "humanml3d", make)


# --- captions, names, and what is no file ---------------------------------------------------------------------------


def caption_cases() -> Iterator[Case]:
    sound = npy(motion_files.joints(60))
    for name, content in (
        ("nothing", b""), ("blanks", b"\n \n"), ("three parts", b"a#b#c\n"), ("words for times", b"a#b#from#to\n"),
        ("a stretch backwards", b"a#b#2.0#1.0\n"), ("a stretch beyond", b"a#b#50#60\n"),
        ("no caption", b"#b#0.0#0.0\n"), ("an endless stretch", b"a#b#0.5#inf\n"),
        ("UTF-16", "a#b#0.0#0.0".encode("utf-16")), ("noise", b"\xff\x00\x80"),
        ("a stretch of no length", b"a#b#1.0#1.0\n"), ("a long line", b"#" * 300_000),
    ):  # fmt: skip
        make = beside(writes("new_joints/000001.npy", sound), writes("texts/000001.txt", content))
        yield Case(f"text of {name}", "humanml3d", make)
    for name, content in (
        ("nothing", b""),
        ("blanks", b" \n\n"),
        ("noise", b"\xff\x00\x80"),
        ("UTF-16", "a".encode("utf-16")),
    ):
        make = beside(writes("a.bvh", BVH.encode()), writes("a.txt", content))
        yield Case(f"sidecar of {name}", "bvh", make, {"captions": {"sidecar": ".txt"}})
    for name, content in (
        ("nothing", b""), ("no columns", b"a,b\n1,2\n"), ("noise", np.random.default_rng(3).bytes(999)),
        ("UTF-16", "clip,text\na,b\n".encode("utf-16")), ("an open quote", b'clip,text\n"a,b\n'),
        ("a zero", b"clip,te\0xt\na,b"),
        ("a field without end", b"clip,text\na," + b"x" * 200_000), ("other clips", b"clip,text\nb,c\n"),
        ("an empty text", b"clip,text\na,\n"),
    ):  # fmt: skip
        make = beside(writes("a.bvh", BVH.encode()), writes("captions.csv", content))
        yield Case(f"table of {name}", "bvh", make, {"captions": "captions.csv"})
    places: list[Any] = ["missing.csv", "../captions.csv", "/etc/passwd", ".", "a\0b.csv", "x" * 5000, 7, []]
    patterns: list[Any] = [
        {"pattern": "a", "say": "b"},
        {"pattern": "{a}", "say": "{b}"},
        {"pattern": "{a}_{b}", "say": "{a}"},
    ]
    options: list[dict[str, Any]] = [{"captions": option} for option in (*places, *patterns, {"say": "a"})]
    options += [{"fps": "x"}, {"fps": -1}, {"up": "w"}, {"unit": "ell"}, {"joints": 1}]
    for said in options:
        yield Case(f"option {str(said)[:40]}", "bvh", writes("a.bvh", BVH.encode()), said)


NAMES = [
    "a\nb", "\x1b[2J\x1b[31m", "\r", "$(touch x)", "; rm -rf ~", "<script>alert(1)<\\script>", "%00", "%2e%2e%2f",
    "..\\..\\x", "a#b", "a|b", "a~b", "~", "-rf", "\u202egpj", "\u200b", "\udcff\udcfe", "CON", "'\"`", "{0.__class__}",
    "%s%n", "x" * 240,
]  # fmt: skip


def place_cases() -> Iterator[Case]:
    for name in NAMES:
        yield Case(f"named {name[:30]!r}", "bvh", writes(f"{name}.bvh", b"no motion"))
        yield Case(f"sound, named {name[:30]!r}", "bvh", writes(f"{name}.bvh", BVH.encode()), may_be_sound=True)
    yield Case("nameless", "bvh", writes("bvh/x.bvh", b"no motion"))
    for format_name, suffix in (
        ("bvh", ".bvh"),
        ("cmu", ".amc"),
        ("amass", ".npz"),
        ("joints", ".npy"),
        ("joints", ".parquet"),
    ):
        said = motion_files.OPTIONS.get(format_name, {})
        for kind, make in PLACES.items():
            yield Case(f"{kind} named x{suffix}", format_name, lambda root, m=make, s=suffix: m(root / f"x{s}"), said)  # type: ignore[misc]
        yield Case(
            f"a licence among {format_name} {suffix}", format_name, writes("LICENSE", FOREIGN["a licence"]), said
        )
        yield Case(f"hidden {suffix}", format_name, writes(f"._x{suffix}", FOREIGN["noise"]), said)
    for format_name in motion_files.FORMATS:
        said = motion_files.OPTIONS.get(format_name, {})
        yield Case(f"nothing for {format_name}", format_name, lambda root: None, said)
        yield Case(
            f"empty folders for {format_name}", format_name, lambda root: (root / "a/b/c").mkdir(parents=True), said
        )
    yield Case("a circle of links", "bvh", lambda root: (root / "deeper").symlink_to(root))
    for split in (b"\xff\xfe", b"\0" * 70):
        sound = writes("new_joints/000001.npy", npy(motion_files.joints()))
        yield Case(
            f"split of {split[:2]!r}",
            "humanml3d",
            beside(sound, writes("train.txt", split)),
            may_be_sound=split[0] == 0,
        )


def _endless(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**33)


PLACES: dict[str, Callable[[Path], Any]] = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to a folder": lambda path: path.symlink_to("/"),
    "an endless file": _endless,
}


# --- damage by chance -----------------------------------------------------------------------------------------------


def damaged_cases(each: int = 25) -> Iterator[Case]:
    """Bytes changed, moved or lost anywhere; some of it only changes a number, which nobody can see."""
    rng = np.random.default_rng(17)
    parts: tuple[tuple[str, str, bytes, dict[str, Any]], ...] = (
        ("bvh", "bad.bvh", BVH.encode(), {}),
        ("cmu", "bad_01.bvh", BVH.encode(), {}),
        ("amass", "bad.npz", archive(AMASS), {}),
        ("joints", "bad.npy", npy(motion_files.joints()), motion_files.OPTIONS["joints"]),
        (
            "joints",
            "bad.parquet",
            parquet([{"joints": motion_files.joints().tolist()}]),
            motion_files.OPTIONS["joints"],
        ),
    )
    for format_name, file, sound, said in parts:
        for number in range(each):
            content = bytearray(sound)
            for _ in range(int(rng.integers(1, 6))):
                start, length = int(rng.integers(len(content))), int(rng.integers(1, 20))
                match rng.integers(4):
                    case 0:
                        content[start : start + length] = rng.bytes(length)
                    case 1:
                        del content[start : start + length]
                    case 2:
                        content[start:start] = content[start : start + length]
                    case _:
                        content[start] ^= 1 << int(rng.integers(8))
            name = f"{file} damaged {number}"
            yield Case(name, format_name, writes(file, bytes(content)), dict(said), may_be_sound=True)


@cache
def cases() -> list[Case]:
    return [*text_cases(), *array_cases(), *caption_cases(), *place_cases(), *damaged_cases()]


# --- reading them ---------------------------------------------------------------------------------------------------


def read(format_name: str, root: Path, options: dict[str, Any]) -> Iterator[Any]:
    results: Iterator[Any] = plugins.load("irg_core.corpora", format_name).read(root, **options)
    return results


def outcome(case: Case) -> dict[str, Any]:
    """What came of a case: the reasons of its rejections, how many takes, or the error."""
    with TemporaryDirectory() as place:
        root = Path(place) / "corpus"
        root.mkdir()
        case.make(root)
        began = time.monotonic()
        found: dict[str, Any] = {"name": case.name, "rejections": [], "takes": [], "error": "", "crash": ""}
        signal.alarm(SECONDS)
        try:
            for result in read(case.format, root, case.options):
                if isinstance(result, Rejection):
                    found["rejections"].append([result.key, result.stage, result.reason, result.detail])
                else:
                    found["takes"].append([result.name, result.source])
        except SourceError as error:
            found["error"] = str(error)
        except Exception as error:  # what else comes out is what the test is after
            found["crash"] = f"{type(error).__name__}: {error}"[:500]
        finally:
            signal.alarm(0)
        outside = sorted(str(path) for path in Path(place).iterdir() if path.name != "corpus")
        return found | {"seconds": time.monotonic() - began, "outside": outside}


def _stop(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS} seconds")


def main(out: Path) -> None:
    prepared = cases()
    with TemporaryDirectory() as place:
        for format_name in motion_files.FORMATS:  # what is imported on the way is not what a bad file asks for
            root = motion_files.folder(format_name, Path(place) / format_name)
            said = motion_files.OPTIONS.get(format_name, {})
            assert not [result for result in read(format_name, root, said) if isinstance(result, Rejection)]
    # Memory that is asked for, not only what is touched.
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, _stop)
    outcomes = [outcome(case) for case in prepared]
    with out.open("w", encoding="utf-8") as file:
        json.dump({"outcomes": outcomes, "ran_code": MARK.exists()}, file)
    MARK.unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
