"""Rules as pure functions: what a condition says, when it holds, and what then becomes of alerts.

One evaluator serves the live evaluation and the trial on history: both feed a machine with the
same entries or readings in the same order, and a machine knows no clock but theirs.
"""
