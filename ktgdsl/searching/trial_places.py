"""Places in the spec of what goes wrong in trials, for whoever watches a search."""

from dataclasses import replace

from ktgdsl.compiler import Compiled, placed_in
from ktgdsl.diagnostics.render import where
from ktgdsl.searching.events import CheckDone, Event, Listener, TrialEnded


def naming_places_to(listener: Listener, compiled: Compiled) -> Listener:
    """A listener that passes events on, with the places of what they are about in the reasons."""

    def listen(event: Event) -> None:
        if isinstance(event, TrialEnded | CheckDone):
            placed = [placed_in(compiled, each) for each in event.problems]
            places = [where(each, compiled.sources) for each in placed if each.span]
            if places:
                event = replace(event, reason=f"{event.reason} ({', '.join(places)})")
        listener(event)

    return listen
