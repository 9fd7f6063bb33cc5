"""Which of an entity's events foretell its failures: features, boosted trees, rules and scores.

An entity is whatever fails (a machine, a service). All is learnt from sequences of typed events
and from past failures alone; windows are parts of the horizon, so that the same code serves
machines that fail within days and services that fail within minutes.
"""
