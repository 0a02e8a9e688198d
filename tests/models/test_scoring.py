import pytest
import torch

from irg_core import dialogue
from irg_core.models.language import Language
from irg_core.models.scoring import log_probs

GOALS = {f"goal{index}": "a person walks" + " and waves" * index for index in range(5)}


def test_the_score_is_the_product_of_the_models_own_probabilities(language: Language) -> None:
    vocabulary = language.vocabulary
    said = vocabulary.encode(dialogue.SENTINEL)
    before = {key: vocabulary.chat(goal) for key, goal in GOALS.items()}
    for key, found in log_probs(language, before, said, 2).items():
        wanted, row = 0.0, list(before[key])
        for token in said:
            with torch.inference_mode():
                scores = language.model(torch.tensor([row])).logits[0, -1].double()
            wanted += float(torch.log_softmax(scores, dim=0)[token])
            row.append(token)
        assert found == pytest.approx(wanted, abs=1e-4)


def test_a_score_does_not_depend_on_its_company(language: Language) -> None:
    vocabulary = language.vocabulary
    before = {key: vocabulary.chat(goal) for key, goal in GOALS.items()}
    together = log_probs(language, before, [vocabulary.end], 5)
    for key in GOALS:
        (alone,) = log_probs(language, {key: before[key]}, [vocabulary.end], 1).values()
        assert alone == pytest.approx(together[key], abs=1e-5)
    assert list(together) == list(GOALS)
