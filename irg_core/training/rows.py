"""Examples as ids: tokenised once, written to disk, and read from there row by row.

Memory does not grow with their number: a file is mapped, so that only what a step asks for is read, and the processes
of a team share what was.
"""

import heapq
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from irg_core.errors import TableError
from irg_core.files import read_json, whole_folder, write_text
from irg_core.fingerprints import seal
from irg_core.models.vocabulary import Vocabulary
from irg_core.records.training import Example
from irg_core.seeds import derive

IGNORED = -100
TOKENISED_TOGETHER = 512
"""Examples that are in memory at one time, and rows of a batch of the file."""
SHAPE = pa.schema(
    [
        pa.field("example_id", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("ids", pa.list_(pa.int32()), nullable=False),
        pa.field("labels", pa.list_(pa.int32()), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example as ids, and what each position is to be predicted as."""

    example_id: str
    task: str
    ids: np.ndarray  # [tokens] int32
    labels: np.ndarray  # [tokens] int32, as ids; IGNORED where nothing is supervised


def encode(examples: Sequence[Example], vocabulary: Vocabulary) -> list[Encoded]:
    """`<user>prompt<assistant>answer<end>`; the prompt and unsupervised segments carry no labels."""
    texts = [text for example in examples for text in (example.prompt, *(part.text for part in example.answer))]
    ids = iter(vocabulary.encode_all(texts))
    return [_joined(example, next(ids), list(islice(ids, len(example.answer))), vocabulary) for example in examples]


def _joined(example: Example, prompt: list[int], answer: list[list[int]], vocabulary: Vocabulary) -> Encoded:
    ids = [vocabulary.user, *prompt, vocabulary.assistant]
    labels = [IGNORED] * len(ids)
    for segment, said in zip(example.answer, answer, strict=True):
        ids += said
        labels += said if segment.supervised else [IGNORED] * len(said)
    ends = np.array([[*ids, vocabulary.end], [*labels, vocabulary.end]], dtype=np.int32)
    return Encoded(example.example_id, example.task, ends[0], ends[1])


class Rows(Sequence[Encoded]):
    """A file of encoded examples, mapped; a row is read when it is asked for."""

    def __init__(self, path: Path) -> None:
        with pa.memory_map(str(path)) as mapped, pa.ipc.open_file(mapped) as file:
            self._batches = [file.get_batch(number) for number in range(file.num_record_batches)]
        self.lengths = np.concatenate([_lengths(batch) for batch in self._batches] or [np.zeros(0, np.int32)])
        """Tokens of each row."""

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, index: int) -> Encoded: ...
    @overload
    def __getitem__(self, index: slice) -> list[Encoded]: ...
    def __getitem__(self, index: int | slice) -> Encoded | list[Encoded]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        batch, row = divmod(range(len(self))[index], TOKENISED_TOGETHER)
        name, task, ids, labels = self._batches[batch].columns
        return Encoded(name[row].as_py(), task[row].as_py(), _numbers(ids, row), _numbers(labels, row))


def _lengths(batch: pa.RecordBatch) -> np.ndarray:
    return np.asarray(pc.list_value_length(batch.column("ids")))


def _numbers(column: pa.ListArray, row: int) -> np.ndarray:
    return column[row].values.to_numpy()


class Writer:
    """A file of encoded examples in the making, in batches of a fixed number of rows."""

    def __init__(self, path: Path) -> None:
        self._file = pa.ipc.new_file(str(path), SHAPE)
        self._held: list[Encoded] = []
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._write(self._held)
        self._file.close()

    def add(self, row: Encoded) -> None:
        self._held.append(row)
        self.count += 1
        if len(self._held) == TOKENISED_TOGETHER:
            self._write(self._held)
            self._held = []

    def _write(self, rows: Sequence[Encoded]) -> None:
        if rows:
            columns = [[getattr(row, field.name) for row in rows] for field in SHAPE]
            arrays = [pa.array(column, field.type) for column, field in zip(columns, SHAPE, strict=True)]
            self._file.write_batch(pa.RecordBatch.from_arrays(arrays, schema=SHAPE))


class Prepared:
    """What a training reads: rows to learn from, rows to look at, and how many of each task were too long."""

    def __init__(self, folder: Path) -> None:
        self.rows = Rows(folder / "train.arrow")
        self.heldout = Rows(folder / "val.arrow")
        self.dropped: Counter[str] = Counter(read_json(folder / "dropped.json"))


class Looked:
    """Of each task the rows with the least hashes: keys begin with the corpus, so the first by key are all of one."""

    def __init__(self, seed: int, measured: int) -> None:
        self._seed = seed
        self._measured = measured
        self._held: dict[str, list[tuple[int, str, Encoded]]] = {}

    def add(self, row: Encoded) -> None:
        held = self._held.setdefault(row.task, [])
        # A heap gives up its least: of the hashes' negatives that is the largest hash.
        heapq.heappush(held, (-derive(self._seed, row.example_id), row.example_id, row))
        if len(held) > self._measured:
            heapq.heappop(held)

    def rows(self) -> Iterator[Encoded]:
        """Task by task, in the order of their hashes."""
        for _, held in sorted(self._held.items()):
            yield from (row for *_, row in sorted(held, reverse=True))


def write(
    folder: Path, stage: str, examples: Iterable[Example], vocabulary: Vocabulary, longest: int, seed: int,
    measured: int,
) -> None:  # fmt: skip
    """Tokenise examples into a folder that `Prepared` opens, whole; of the val split `measured` of each task.

    Examples are taken a few at a time. Raises `TableError` where none is left to learn from.
    """
    dropped, looked = Counter[str](), Looked(seed, measured)
    with whole_folder(folder) as aside:
        with ExitStack() as stack:
            files = {split: stack.enter_context(Writer(aside / f"{split}.arrow")) for split in ("train", "val")}
            for split, row in _encoded(examples, vocabulary):
                if len(row.ids) > longest:
                    dropped[row.task] += 1
                else:
                    (looked if split == "val" else files["train"]).add(row)
            for row in looked.rows():
                files["val"].add(row)
        if not files["train"].count:
            there = f"all {sum(dropped.values())} are longer" if dropped else "there is none at all"
            raise TableError(
                f"{stage}: no train example of at most {longest} tokens, {there}; raise {stage}.longest or look at what"
                " its examples are made from"
            )
        write_text(aside / "dropped.json", json.dumps(dropped, sort_keys=True))
        seal(aside)


def _encoded(examples: Iterable[Example], vocabulary: Vocabulary) -> Iterator[tuple[str, Encoded]]:
    """Examples of train and val, a few at a time."""
    wanted = (example for example in examples if example.split in ("train", "val"))
    while some := list(islice(wanted, TOKENISED_TOGETHER)):
        yield from zip([example.split for example in some], encode(some, vocabulary), strict=True)


def corrupted(row: Encoded, vocabulary: Vocabulary, share: float, draws: np.random.Generator) -> Encoded:
    """The row with a share of its supervised codes read as other codes, drawn evenly."""
    first, last = vocabulary.first_code, vocabulary.first_code + vocabulary.codes
    others, chances = draws.integers(first, last, len(row.ids)), draws.random(len(row.ids))
    is_code = (first <= row.ids) & (row.ids < last) & (row.labels != IGNORED)
    ids = np.where(is_code & (chances < share), others, row.ids).astype(np.int32)
    return Encoded(row.example_id, row.task, ids, row.labels)
