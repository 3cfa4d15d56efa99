"""When a training or a phase of it ends before its last epoch."""

from typing import Annotated, ClassVar

from pydantic import Field

from ktgdsl.vocabulary.entry import Entry


class Stop(Entry):
    """Base of all rules for ending early."""

    kind: ClassVar[str] = "stop"


class Never(Stop):
    """All epochs are trained."""

    word: ClassVar[str] = "never"


class Patience(Stop):
    """Ends a phase after `epochs` epochs in a row without progress: `patience(10)`.

    After each epoch the accuracy of each node that learns, on held-out samples, is compared with
    its highest so far in the phase; progress is when at least one node is better than before.
    Averages of such nodes (`ema`) count, too. Gates and schedules keep to the planned length:
    k_end stays.

    Source: Keras' `EarlyStopping` and Lightning's, with `min_delta = 0`.
    """

    word: ClassVar[str] = "patience"

    epochs: Annotated[
        int, Field(ge=1, description="epochs without progress, the last included")
    ] = 10
