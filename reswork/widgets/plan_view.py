"""What a training costs, way by way, on the page."""

from html import escape

import ipywidgets as w

from reswork.planning.plan import Plan, told_time
from reswork.widgets.sheet_saver import SheetSaver
from reswork.widgets.tree import close_tree


class PlanView(w.VBox):
    """The table of a plan, what it assumes, and a button that saves both.

    Args:
        plan: from `reswork.plan`.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        table, assumed = w.HTML(_table_html(plan)), w.HTML(_assumed_html(plan))
        table.add_class("reswork-wide")
        self.saver = SheetSaver("plan.csv")
        self.saver.offer(plan)
        self.children = (table, assumed, self.saver)

    def close(self) -> None:
        """Take the view off the page and free its widgets."""
        if self.comm is not None:
            close_tree(self)


def _table_html(plan: Plan) -> str:
    heads = ("way", "time", "from", "to", "kWh", plan.prices.currency, "known by")
    rows = ["".join(f"<th>{escape(each)}</th>" for each in heads)]
    for way in plan.ways:
        times = [told_time(each) for each in (way.seconds, way.low, way.high)]
        cells = (way.name, *times, f"{way.kwh:.2g}", f"{way.money:.2g}", way.basis)
        rows.append("".join(f"<td>{escape(each)}</td>" for each in cells))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    table = f'<table class="reswork-table reswork-forms">{body}</table>'
    title = f"{plan.label} on {plan.data}: {plan.steps:,} steps on {plan.machine}"
    return f'<b>{escape(title)}</b><div class="reswork-wide">{table}</div>'


def _assumed_html(plan: Plan) -> str:
    told = [f"{way.name}: {way.assumes}" for way in plan.ways if way.assumes] + list(plan.assumptions)
    lines = "".join(f"<li>{escape(each)}</li>" for each in told)
    return f'<details class="reswork-past"><summary>What is assumed</summary><ul>{lines}</ul></details>'
