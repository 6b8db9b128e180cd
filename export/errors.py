"""The errors of the export, each with a message for the person who ran it.

    ConchError
    └── ExportError                 anything that stops an export; the repository is untouched
        ├── CatalogError            a catalog file is wrong, or a model in it cannot be served
        ├── UnknownModelError       no catalog entry, path or hub id of that name
        ├── SourceError             no source gave the checkpoint; lists each one tried and why it failed
        ├── UnsupportedModelError   an architecture, module or option that the export does not know
        ├── IntentCheckpointError   a trained classifier is damaged or contradicts itself
        ├── QualityError            an exported decoder predicts too differently from the original
        └── ParityError             the exported model does not compute what the original computes
"""

from export.contract import ConchError


class ExportError(ConchError):
    """An export stopped; the model repository is untouched."""


class CatalogError(ExportError):
    """A catalog file is wrong, or the catalog says that a model cannot be served."""


class UnknownModelError(ExportError):
    """No catalog entry, local path or hub id goes by that name."""


class SourceError(ExportError):
    """No source gave the checkpoint."""


class UnsupportedModelError(ExportError):
    """The checkpoint uses an architecture, a module or an option that the export does not know."""


class IntentCheckpointError(ExportError):
    """A trained classifier is damaged or contradicts itself; the message names file and field."""


class QualityError(ExportError):
    """An exported decoder does not run, or predicts other tokens than the original beyond its precision's bound."""


class ParityError(ExportError):
    """The exported model does not compute what the original computes."""
