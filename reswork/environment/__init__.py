"""Whether this machine and this page can do what reswork asks of them."""

from reswork.environment.checkup import doctor
from reswork.environment.report import Checkup, Finding

__all__ = ["Checkup", "Finding", "doctor"]
