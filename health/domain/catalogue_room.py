"""How many services there may be, and what becomes of further ones."""

from __future__ import annotations

# Services heard of lately that telemetry may name: as many as get a control document, and far more
# than one team runs.
MOST_SERVICES = 2_000
# In all, with those that fell silent: their rows stay, since people's settings may name them.
MOST_EVER = 10_000
# The service of all telemetry whose own service finds no room in the catalogue.
OTHER_SERVICES = "(other services)"
