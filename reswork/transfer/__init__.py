"""Fine-tuning: a trained network as the beginning of another training, and what that is worth."""

from reswork.transfer.adoption import Adopted, adopt
from reswork.transfer.arrivals import ARRIVALS, forgetting, forgetting_steps, joined
from reswork.transfer.before_and_after import before_and_after
from reswork.transfer.fine_tuning import fine_tune
from reswork.transfer.sources import Source, open_source
from reswork.transfer.stages import Stage, frozen_to, joining_in_turn, planned, rates_by_stage, stages
from reswork.transfer.ways import Way
from reswork.transfer.worth import FROM_NOTHING, WAYS, worth, worth_steps

__all__ = [
    "ARRIVALS",
    "FROM_NOTHING",
    "WAYS",
    "Adopted",
    "Source",
    "Stage",
    "Way",
    "adopt",
    "before_and_after",
    "fine_tune",
    "forgetting",
    "forgetting_steps",
    "frozen_to",
    "joined",
    "joining_in_turn",
    "open_source",
    "planned",
    "rates_by_stage",
    "stages",
    "worth",
    "worth_steps",
]
