"""How likely a model finds words that are put before it, without letting it speak.

The alignment score of a goal and a motion is the probability of "nothing to refine", to the letter, where a refinement
is due.
"""

from collections.abc import Mapping, Sequence

import torch

from irg_core.models.language import Language


@torch.inference_mode()
def log_probs(
    language: Language, before: Mapping[str, Sequence[int]], said: Sequence[int], batch: int
) -> dict[str, float]:
    """ln p(`said` | what stands before it), by key; over the whole vocabulary, as the model was trained.

    `before` holds ids of prompt and answer so far, none of them empty. Rows are padded behind their end, where nothing
    looks at the padding: company changes no more than the last bits.
    """
    model, found = language.model.eval(), dict[str, float]()
    order = sorted(before, key=lambda key: (len(before[key]), key))
    wanted = torch.tensor(list(said))
    for start in range(0, len(order), batch):
        keys = order[start : start + batch]
        rows = [[*before[key], *said] for key in keys]
        longest = max(map(len, rows))
        pad = language.vocabulary.pad
        ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows])
        attention = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        logits = model(input_ids=ids, attention_mask=attention).logits
        for key, row, scores in zip(keys, rows, logits, strict=True):
            due = scores[len(row) - len(said) - 1 : len(row) - 1].double()
            found[key] = float(torch.log_softmax(due, dim=1).gather(1, wanted[:, None]).sum())
    return {key: found[key] for key in before}
