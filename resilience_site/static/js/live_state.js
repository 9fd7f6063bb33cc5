// What the live indicator says, and why. Pure: events and times come in, a new state comes out.
//
//   connecting --opened--> open --closed--> down --opened--> open
//   down, two failures in a row --> polling beside it, until the socket opens again
//   paused lies over all of them; refused means that the server will not have us;
//   late means that the server itself polls, as nobody tells it what happens

export const SILENCE = 10_000;
export const FAILURES_BEFORE_POLLING = 2;

export function initial(now) {
  return {
    link: "connecting",
    failures: 0,
    heardAt: now,
    polledAt: null,
    pollFailed: false,
    retryAt: null,
    paused: false,
    refused: "",
    late: false,
    waiting: 0,
    failing: 0,
    failingSince: null,
  };
}

/** The state after `event`, an object with `type` and what belongs to it. */
export function next(state, event) {
  switch (event.type) {
    case "connecting":
      return { ...state, retryAt: null, link: state.link === "open" ? "down" : state.link };
    case "heard":
      return {
        ...state,
        link: "open",
        failures: 0,
        heardAt: event.now,
        polledAt: null,
        pollFailed: false,
        retryAt: null,
        refused: "",
      };
    case "late":
      return { ...state, late: event.late };
    case "closed":
      return { ...state, link: "down", failures: state.failures + 1, retryAt: event.retryAt };
    case "refused":
      return { ...state, link: "down", refused: event.reason, retryAt: null };
    case "polled":
      return { ...state, polledAt: event.now, heardAt: event.now, pollFailed: false };
    case "poll_failed":
      return { ...state, pollFailed: true };
    case "paused":
      return { ...state, paused: true };
    case "resumed":
      return { ...state, paused: false };
    case "waiting":
      return { ...state, waiting: event.count };
    case "failing":
      return {
        ...state,
        failing: event.count,
        failingSince: event.count ? (state.failingSince ?? event.now) : null,
      };
    default:
      throw new Error(`unknown event ${event.type}`);
  }
}

export function isSilent(state, now) {
  return state.link === "open" && now - state.heardAt > SILENCE;
}

export function shouldPoll(state) {
  return state.link !== "open" && !state.refused && state.failures >= FAILURES_BEFORE_POLLING;
}

/** The word, what stands beside it, and whether "Reconnect now" makes sense. */
export function indicator(state, now, clock) {
  const waiting = state.waiting ? `${state.waiting} update${state.waiting === 1 ? "" : "s"} waiting` : "";
  if (state.refused) return shown("stale", `Stale since ${clock(state.heardAt)}`, state.refused, false);
  if (state.paused) return shown("paused", "Paused", waiting, false);
  if (state.link === "open" && !isSilent(state, now)) {
    if (!state.failing) {
      if (state.late) return shown("polling", "Polling", waiting || "up to 2 s late", false);
      return shown("live", "Live", waiting, false);
    }
    const since = `Stale since ${clock(state.failingSince)}`;
    return shown("stale", since, "the server fails to refresh this page", false);
  }
  if (state.link === "connecting" && state.failures === 0) return shown("connecting", "Connecting", "", false);
  const countdown = retryText(state, now);
  if (shouldPoll(state) && state.polledAt !== null && !state.pollFailed) {
    return shown("polling", "Polling", countdown, true);
  }
  return shown("stale", `Stale since ${clock(state.heardAt)}`, countdown, state.link !== "open");
}

function retryText(state, now) {
  if (state.link === "open") return "server is silent";
  if (state.retryAt === null) return "reconnecting";
  return `reconnecting in ${Math.max(0, Math.ceil((state.retryAt - now) / 1000))} s`;
}

function shown(name, word, detail, canReconnect) {
  return { name, word, detail, canReconnect };
}
