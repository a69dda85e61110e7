"""Parts of the page that are made when they are first shown: pages, closed sections, questions."""

import threading
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as w


class Part(w.VBox):
    """A place on the page that is empty until it is first shown, and in which nothing is drawn while it is hidden.

    What a part shows is kept outside of it, by the fields of a form, a run or a panel. So hiding and showing lose
    nothing, and what changes meanwhile costs neither kernel nor browser anything.

    Args:
        make: makes the widgets; called once, when the part is first shown.
        draw: brings them up to date; called each time the part is shown.

    Example:
        >>> part = Part(lambda: [w.HTML("made late")])
        >>> len(part.children)
        0
        >>> part.show()
        >>> len(part.children)
        1
        >>> part.close()
    """

    def __init__(
        self, make: Callable[[], Sequence[w.Widget]], draw: Callable[[], object] = lambda: None
    ) -> None:
        super().__init__(layout=w.Layout(display="none"))
        self._make, self._draw = make, draw
        self._making = threading.RLock()
        self.is_made = False
        self.is_shown = False  # and wants to be kept up to date

    def show(self) -> None:
        """Put it on the page."""
        with self._making:
            if not self.is_made:
                self.children = tuple(self._make())
                self.is_made = True
        self.layout.display = None
        self.is_shown = True
        self._draw()

    def hide(self) -> None:
        """Take it off the page; its widgets stay for the next time."""
        self.is_shown = False
        self.layout.display = "none"


def accordion(sections: Mapping[str, Part]) -> w.Accordion:
    """Parts under titles, all closed; a click on a title shows one of them."""
    parts = list(sections.values())
    made = w.Accordion(parts, titles=tuple(sections))

    def turn(change: dict[str, int | None]) -> None:
        for place, part in enumerate(parts):
            if place == change["new"]:
                part.show()
            else:
                part.is_shown = False  # the browser hides it, and opens it again also while a cell runs

    made.observe(turn, names="selected_index")
    return made
