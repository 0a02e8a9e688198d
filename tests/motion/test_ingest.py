"""From takes to clips: what becomes one, what is refused and why."""

from dataclasses import replace

import numpy as np
import pytest

from irg_core.errors import ParamsError
from irg_core.motion import ingest
from irg_core.motion.ingest import IngestParams, clips_of, results_of_batch, without_duplicates
from irg_core.motion.skeleton import OFFSETS, PARENTS
from irg_core.records.annotation import Rejection
from irg_core.records.motion import Clip, SourceCaption, Take

PARAMS = IngestParams(min_seconds=2.0, max_seconds=10.0)


def take(name: str = "a", seconds: float = 3.0, fps: float = 30.0, speed: float = 1.0) -> Take:
    """A statue that glides ahead."""
    joints = np.zeros((round(seconds * fps) + 1, 22, 3))
    joints[:, 0, 2] = speed * np.arange(len(joints)) / fps
    for joint in range(1, 22):
        joints[:, joint] = joints[:, PARENTS[joint]] + OFFSETS[joint]
    return Take(name, joints, fps, (SourceCaption("a statue glides", ""),), cell="glide", truth="{}")


def only_rejection(changed: Take) -> Rejection:
    (result,) = clips_of(changed, "corpus", PARAMS)
    assert isinstance(result, Rejection)
    return result


def with_joints(joints: np.ndarray) -> Take:
    whole = take()
    return Take(whole.name, joints, whole.fps, whole.captions, whole.cell, whole.truth)


def test_a_clip_keeps_its_time_and_its_words() -> None:
    (clip,) = clips_of(take(seconds=3.0, fps=30.0), "corpus", PARAMS)
    assert isinstance(clip, Clip)
    assert (clip.clip_id, clip.take, clip.corpus, clip.cell) == ("corpus/a", "corpus/a", "corpus", "glide")
    assert clip.features.shape == (60, 263)
    assert clip.features.dtype == np.float32
    assert clip.features[:, 2].sum() == pytest.approx(3.0, abs=1e-3)
    assert [caption.text for caption in clip.captions] == ["a statue glides"]


def test_a_long_take_is_cut_into_equal_pieces_of_one_take() -> None:
    clips = [clip for clip in clips_of(take(seconds=25.0), "corpus", PARAMS) if isinstance(clip, Clip)]
    assert [clip.clip_id for clip in clips] == ["corpus/a#0", "corpus/a#1", "corpus/a#2"]
    assert {clip.take for clip in clips} == {"corpus/a"}
    assert sum(len(clip.features) for clip in clips) == 500
    assert max(len(clip.features) for clip in clips) <= 200
    assert min(len(clip.features) for clip in clips) >= 40


def test_a_take_is_refused_with_a_reason_that_can_be_counted() -> None:
    broken = take().joints.copy()
    broken[17, 3, 1] = np.nan
    assert only_rejection(with_joints(broken)).reason == ingest.NOT_FINITE
    assert "first at 17" in only_rejection(with_joints(broken)).detail
    assert only_rejection(take(seconds=1.9)).reason == ingest.TOO_SHORT
    assert only_rejection(with_joints(np.zeros((90, 21, 3)))).reason == ingest.WRONG_SHAPE
    assert only_rejection(with_joints(np.zeros((90, 22, 3)))).reason == ingest.WRONG_SHAPE
    assert only_rejection(with_joints(np.zeros((0, 22, 3)))).reason == ingest.WRONG_SHAPE
    silent = Take("a", take().joints, 30.0, (SourceCaption("  ", ""),), "glide", "")
    assert only_rejection(silent).reason == ingest.NO_CAPTION
    for rate in (0.0, -30.0, float("nan"), float("inf")):
        assert only_rejection(replace(take(), fps=rate)).reason == ingest.NO_RATE
    legless = take().joints.copy()
    legless[:, [5, 8]] = legless[:, [2]]
    assert only_rejection(with_joints(legless)).reason == ingest.WRONG_SHAPE


def test_what_the_reader_refused_stays_refused_under_the_name_of_the_corpus() -> None:
    refused = Rejection("b", "ingest", "unreadable motion file", "b.txt")
    results = results_of_batch([refused, take()], corpus="corpus", params=PARAMS)
    assert [type(result) for result in results] == [Rejection, Clip]
    assert isinstance(results[0], Rejection)
    assert results[0].key == "corpus/b"


def test_the_same_name_or_the_same_motion_counts_once() -> None:
    takes = [take("a"), take("a", speed=2.0), take("a", speed=3.0), take("b"), take("c", speed=0.5)]
    clips, rejections = without_duplicates(results_of_batch(list(takes), corpus="corpus", params=PARAMS))
    assert [clip.clip_id for clip in clips] == ["corpus/a", "corpus/c"]
    assert [(r.key, r.reason) for r in rejections] == [
        ("corpus/a", ingest.SAME_ID),
        ("corpus/a~2", ingest.SAME_ID),
        ("corpus/b", ingest.SAME_MOTION),
    ]
    assert rejections[2].detail == "same as corpus/a"


def test_noise_far_below_a_millimetre_changes_no_byte() -> None:
    whole = take()
    (quiet,), (noisy,) = (
        clips_of(with_joints(joints), "corpus", PARAMS) for joints in (whole.joints, whole.joints + 1e-12)
    )
    assert isinstance(quiet, Clip)
    assert isinstance(noisy, Clip)
    assert quiet.features.tobytes() == noisy.features.tobytes()


def test_zero_has_one_spelling() -> None:
    (clip,) = clips_of(take(), "corpus", PARAMS)
    assert isinstance(clip, Clip)
    zeros = clip.features[clip.features == 0]
    assert len(zeros)
    assert not np.signbit(zeros).any()


def test_pieces_of_a_cut_cannot_be_too_short_by_design() -> None:
    with pytest.raises(ParamsError, match="at least twice"):
        IngestParams(min_seconds=4.0, max_seconds=6.0)
