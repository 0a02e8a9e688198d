"""Every error that a user can mend, on one page.

Each message names the thing, the place and the way out. Data that is merely bad never raises: it becomes a
`Rejection` row (see `records.annotation`).
"""


class FactoryError(Exception):
    """A wrong set-up or a broken promise between stages; the command line prints it without a traceback."""

    status = 2
    """Of the process that ends with it."""


class ParamsError(FactoryError):
    """A parameter is missing, unknown or out of its range."""


class UnknownPlugin(FactoryError):
    """A plug-in is named in params.yaml for which there is no file."""


class SourceError(FactoryError):
    """A source corpus is missing, unreadable or empty."""


class EndpointError(FactoryError):
    """Who should answer questions cannot be reached, or does not serve us; replies that came before are kept."""


class BudgetSpent(FactoryError):
    """What may be spent is spent; every reply so far is kept, and a run with a larger budget goes on from there."""

    status = 3


class LedgerError(FactoryError):
    """Replies cannot be kept, so none is asked for; a full disk, most likely."""


class TableError(FactoryError):
    """A table is missing or does not have the columns of its record."""


class ModelError(FactoryError):
    """A model folder is incomplete or does not fit the tables it meets."""


class CheckpointError(FactoryError):
    """A half-trained model cannot be kept, or is not the one that was asked for; what was kept before stays."""


class ValidationFailed(FactoryError):
    """A table breaks an expectation; nothing that depends on it may run."""


class ClusterError(FactoryError):
    """A Ray cluster does not answer, is too small, or lost its workers."""


class RewardError(FactoryError):
    """A reward of Stage 3 cannot score what it is shown; checkpoints stay as they were."""
