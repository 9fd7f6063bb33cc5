"""How states look: each value has a word, a tone (colour) and an icon (shape), always all three."""

from __future__ import annotations

from typing import Final, NamedTuple


class Badge(NamedTuple):
    """`tone` is one of ok, warn, bad, info, note, idle; `icon` names a heroicon of the micro set."""

    word: str
    tone: str
    icon: str


UNKNOWN_ICON: Final = "question-mark-circle"

BADGES: Final[dict[str, dict[str, Badge]]] = {
    "pattern": {
        "new": Badge("New", "info", "sparkles"),
        "ongoing": Badge("Ongoing", "idle", "arrow-path"),
        "escalating": Badge("Escalating", "bad", "arrow-trending-up"),
        "regressed": Badge("Regressed", "warn", "arrow-uturn-left"),
        "resolved": Badge("Resolved", "ok", "check-circle"),
        "ignored": Badge("Ignored", "idle", "no-symbol"),
    },
    "severity": {
        "fatal": Badge("Fatal", "bad", "fire"),
        "error": Badge("Error", "bad", "x-circle"),
        "warn": Badge("Warning", "warn", "exclamation-triangle"),
        "info": Badge("Info", "info", "information-circle"),
        "debug": Badge("Debug", "idle", "bug-ant"),
        "trace": Badge("Trace", "idle", "ellipsis-horizontal-circle"),
    },
    "service": {
        "healthy": Badge("Healthy", "ok", "check-circle"),
        "degraded": Badge("Degraded", "warn", "exclamation-triangle"),
        "failing": Badge("Failing", "bad", "x-circle"),
        "quiet": Badge("Quiet", "idle", "moon"),
        "unknown": Badge("Unknown", "idle", UNKNOWN_ICON),
    },
    "check": {
        "pass": Badge("Pass", "ok", "check-circle"),
        "warn": Badge("Warning", "warn", "exclamation-triangle"),
        "fail": Badge("Failing", "bad", "x-circle"),
    },
    "health": {
        "up": Badge("Up", "ok", "check-circle"),
        "degraded": Badge("Degraded", "warn", "exclamation-triangle"),
        "down": Badge("Down", "bad", "x-circle"),
        "unreachable": Badge("Unreachable", "note", "signal-slash"),
        "maintenance": Badge("Maintenance", "info", "wrench"),
        "unknown": Badge("Unknown", "idle", UNKNOWN_ICON),
        "paused": Badge("Paused", "idle", "pause-circle"),
    },
    "run": {
        "up": Badge("Up", "ok", "check-circle"),
        "degraded": Badge("Degraded", "warn", "exclamation-triangle"),
        "down": Badge("Down", "bad", "x-circle"),
        "internal_error": Badge("Internal error", "note", "bug-ant"),
        "withheld": Badge("Withheld", "idle", "no-symbol"),
    },
    "span": {
        "ok": Badge("OK", "ok", "check-circle"),
        "unset": Badge("Unset", "idle", "minus-circle"),
        "error": Badge("Error", "bad", "x-circle"),
    },
    "level": {
        "normal": Badge("Normal", "ok", "check-circle"),
        "reduced": Badge("Reduced", "warn", "exclamation-triangle"),
        "essential": Badge("Essential only", "bad", "exclamation-circle"),
        "offline": Badge("Offline", "bad", "x-circle"),
    },
    "impact": {
        "operational": Badge("Operational", "ok", "check-circle"),
        "maintenance": Badge("Maintenance", "info", "wrench-screwdriver"),
        "degraded": Badge("Degraded", "warn", "exclamation-triangle"),
        "partial_outage": Badge("Partial outage", "bad", "exclamation-circle"),
        "major_outage": Badge("Major outage", "bad", "x-circle"),
        "none": Badge("Not measured", "idle", UNKNOWN_ICON),
    },
    "incident": {
        "open": Badge("Open", "bad", "fire"),
        "acknowledged": Badge("Acknowledged", "warn", "eye"),
        "resolved": Badge("Resolved", "ok", "check-circle"),
    },
    "alert": {
        "pending": Badge("Pending", "warn", "clock"),
        "firing": Badge("Firing", "bad", "bell-alert"),
        "resolved": Badge("Resolved", "ok", "check-circle"),
    },
    "channel": {
        "on": Badge("In use", "ok", "check-circle"),
        "failing": Badge("Failing", "warn", "exclamation-triangle"),
        "paused": Badge("Paused", "bad", "pause-circle"),
        "off": Badge("Off", "idle", "minus-circle"),
    },
    "attempt": {
        "delivered": Badge("Delivered", "ok", "check-circle"),
        "retry": Badge("To be tried again", "warn", "arrow-path"),
        "permanent": Badge("Refused for good", "bad", "x-circle"),
    },
    "delivery": {
        "pending": Badge("Waiting", "idle", "clock"),
        "sending": Badge("Being sent", "info", "paper-airplane"),
        "delivered": Badge("Delivered", "ok", "check-circle"),
        "failed": Badge("Failed", "bad", "x-circle"),
    },
    "alert_rule": {
        "on": Badge("On", "ok", "check-circle"),
        "off": Badge("Off", "idle", "pause-circle"),
        "firing": Badge("Firing", "bad", "bell-alert"),
        "pending": Badge("Pending", "warn", "clock"),
        "faulty": Badge("Faulty", "bad", "exclamation-triangle"),
    },
    "silence": {
        "active": Badge("In force", "info", "bell-slash"),
        "pending": Badge("To come", "idle", "clock"),
        "over": Badge("Over", "idle", "minus-circle"),
    },
    "urgency": {
        "page": Badge("Page", "bad", "bell-alert"),
        "ticket": Badge("Ticket", "warn", "ticket"),
        "info": Badge("Info", "info", "information-circle"),
    },
    "stage": {
        "investigating": Badge("Investigating", "bad", "magnifying-glass"),
        "identified": Badge("Identified", "warn", "light-bulb"),
        "monitoring": Badge("Monitoring", "info", "eye"),
        "resolved": Badge("Resolved", "ok", "check-circle"),
    },
    "toggle": {
        "on": Badge("On", "ok", "check-circle"),
        "off": Badge("Off", "warn", "minus-circle"),
        "value": Badge("Value", "info", "adjustments-horizontal"),
        "unset": Badge("Not set", "idle", "ellipsis-horizontal-circle"),
    },
    "breaker": {
        "closed": Badge("Closed", "ok", "check-circle"),
        "open": Badge("Open", "bad", "x-circle"),
        "half_open": Badge("Half-open", "warn", "beaker"),
        "forced_open": Badge("Forced open", "note", "lock-closed"),
        "forced_closed": Badge("Forced closed", "note", "arrow-right-circle"),
        "disabled": Badge("Disabled", "idle", "no-symbol"),
        "metrics_only": Badge("Metrics only", "info", "eye"),
        "silent": Badge("Silent", "idle", "signal-slash"),
    },
    "outcome": {
        "succeeded": Badge("Succeeded", "ok", "check-circle"),
        "failed": Badge("Failed", "bad", "x-circle"),
        "ignored": Badge("Ignored", "idle", "minus-circle"),
    },
    "failure": {
        "health_down": Badge("Health down", "bad", "heart"),
        "breaker_open": Badge("Breaker open", "bad", "bolt"),
        "slo_breach": Badge("Objective breached", "bad", "arrow-trending-down"),
    },
    "prediction": {
        "pending": Badge("Pending", "info", "clock"),
        "hit": Badge("Came true", "ok", "check-circle"),
        "miss": Badge("Missed", "warn", "x-circle"),
    },
    "slo": {
        "burning": Badge("Burning fast", "bad", "fire"),
        "exhausted": Badge("Budget gone", "bad", "x-circle"),
        "spending": Badge("Spending too fast", "warn", "arrow-trending-down"),
        "ok": Badge("Within budget", "ok", "check-circle"),
        "no_data": Badge("Not enough data", "idle", UNKNOWN_ICON),
        "off": Badge("Switched off", "idle", "pause-circle"),
    },
    "burn": {
        "page": Badge("Holds: page", "bad", "bell-alert"),
        "ticket": Badge("Holds: ticket", "warn", "ticket"),
        "held_back": Badge("Held back", "info", "hand-raised"),
        "below": Badge("Below", "ok", "check-circle"),
        "no_data": Badge("Not enough data", "idle", UNKNOWN_ICON),
        "never": Badge("Cannot hold", "idle", "no-symbol"),
    },
    "change": {
        "worse": Badge("More", "bad", "arrow-trending-up"),
        "better": Badge("Fewer", "ok", "arrow-trending-down"),
        "same": Badge("Alike", "idle", "equals"),
        "not_enough_data": Badge("Not enough data", "idle", UNKNOWN_ICON),
    },
    "healing_run": {
        "pending": Badge("Pending", "idle", "clock"),
        "waiting_approval": Badge("Waits for approval", "warn", "hand-raised"),
        "running": Badge("Running", "info", "wrench"),
        "verifying": Badge("Verifying", "info", "magnifying-glass"),
        "succeeded": Badge("Succeeded", "ok", "check-circle"),
        "failed": Badge("Failed", "bad", "x-circle"),
        "rolled_back": Badge("Rolled back", "warn", "arrow-uturn-left"),
        "escalated": Badge("Escalated", "bad", "user"),
        "cancelled": Badge("Cancelled", "idle", "no-symbol"),
        "refused": Badge("Refused", "note", "shield-exclamation"),
        "dry_run": Badge("Dry run", "info", "eye"),
    },
    "healing_step": {
        "pending": Badge("To come", "idle", "clock"),
        "running": Badge("Running", "info", "wrench"),
        "verifying": Badge("Verifying", "info", "magnifying-glass"),
        "succeeded": Badge("Done", "ok", "check-circle"),
        "failed": Badge("Failed", "bad", "x-circle"),
        "unknown": Badge("Not known", "note", UNKNOWN_ICON),
        "skipped": Badge("Skipped", "idle", "minus-circle"),
        "compensated": Badge("Undone", "warn", "arrow-uturn-left"),
    },
    "healing_effect": {
        "would": Badge("Would", "info", "eye"),
        "skipped": Badge("Skipped", "idle", "minus-circle"),
        "cannot": Badge("Cannot", "warn", "exclamation-triangle"),
    },
    "healing_mode": {
        "observe": Badge("Observe", "idle", "eye"),
        "suggest": Badge("Suggest", "info", "light-bulb"),
        "approve": Badge("Approve", "warn", "hand-raised"),
        "auto": Badge("Auto", "ok", "bolt"),
        "off": Badge("Off", "idle", "pause-circle"),
    },
    "ruling": {
        "pass": Badge("Pass", "ok", "check-circle"),
        "approve": Badge("Only with approval", "warn", "hand-raised"),
        "refuse": Badge("Refused", "bad", "shield-exclamation"),
    },
    "key": {
        "active": Badge("Active", "ok", "check-circle"),
        "expired": Badge("Expired", "warn", "clock"),
        "revoked": Badge("Revoked", "idle", "no-symbol"),
    },
}


def badge_for(kind: str, value: object) -> Badge:
    """The badge of `value`; a value that nobody has described keeps its own word, with `?`."""
    name = str(value)
    known = BADGES.get(kind, {}).get(name.lower())
    return known or Badge(name.replace("_", " ").capitalize() or "Unknown", "idle", UNKNOWN_ICON)
