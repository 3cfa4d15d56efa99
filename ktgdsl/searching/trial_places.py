"""Adds to the failures of trials the places in the spec that they are about."""

from dataclasses import replace

from ktgdsl.compiler import Compiled, located
from ktgdsl.diagnostics.render import where
from ktgdsl.searching.events import CheckDone, Event, Listener, TrialEnded


def locating_listener(listener: Listener, compiled: Compiled) -> Listener:
    """A listener that passes events on, with places in the spec added to reasons of failures."""

    def listen(event: Event) -> None:
        if isinstance(event, TrialEnded | CheckDone):
            problems = [located(compiled, problem) for problem in event.problems]
            places = [where(problem, compiled.sources) for problem in problems if problem.span]
            if places:
                event = replace(event, reason=f"{event.reason} ({', '.join(places)})")
        listener(event)

    return listen
