// Charts: `<div data-figure="/….json">`. Plotly itself is fetched only where there is one.

import { COLORS, CONFIG, hasData, layoutFor, linkOf, MAP_STYLE_ID, painted } from "./chart_layout.js";

const GAP = 1_000;

let library = null;

const charts = new Map();

export function startCharts() {
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) charts.get(target)?.setVisible(isIntersecting);
    },
    { rootMargin: "200px" },
  );
  const adopt = () => {
    for (const plot of charts.keys()) if (!plot.isConnected) charts.delete(plot);
    for (const plot of document.querySelectorAll("[data-figure]")) {
      if (charts.has(plot)) continue;
      charts.set(plot, new Chart(plot));
      seen.observe(plot);
    }
  };
  adopt();
  document.addEventListener("htmx:after:swap", adopt);
  document.addEventListener("theme:change", () => charts.forEach((chart) => chart.draw()));
  document.addEventListener("visibilitychange", () => charts.forEach((chart) => chart.catchUp()));
}

function loadPlotly() {
  library ??= new Promise((resolve, reject) => {
    const taken = document.createElement("meta");
    taken.id = MAP_STYLE_ID;
    document.head.append(taken);
    const script = document.createElement("script");
    script.src = document.documentElement.dataset.plotlySrc;
    script.addEventListener("load", () => resolve(window.Plotly));
    script.addEventListener("error", () => {
      library = null;
      reject(new Error("the charting library did not load"));
    });
    document.head.append(script);
  });
  return library;
}

class Chart {
  constructor(plot) {
    this.plot = plot;
    this.note = plot.closest(".panel")?.querySelector("[data-chart-note]");
    this.message = plot.parentElement.querySelector(".chart-message");
    this.visible = false;
    this.dirty = true;
    this.figure = null;
    this.drawnAt = 0;
    this.say("Loading");
    plot.addEventListener("live:refresh", (event) => {
      event.preventDefault();
      event.detail.done = this.refresh();
    });
  }

  setVisible(visible) {
    this.visible = visible;
    this.catchUp();
  }

  catchUp() {
    if (this.dirty && this.visible && !document.hidden) void this.refresh();
  }

  /** Fetch and draw, or remember to; true unless the server failed. */
  async refresh() {
    this.dirty = true;
    if (!this.visible || document.hidden) return true;
    await new Promise((resolve) => setTimeout(resolve, this.drawnAt + GAP - Date.now()));
    try {
      const response = await fetch(this.plot.dataset.figure, {
        // The site leaves such requests out of its own telemetry, which would call for the next.
        headers: { Accept: "application/json", "X-Live-Pull": "1" },
      });
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      this.figure = await response.json();
      this.dirty = false;
      await this.draw();
      return true;
    } catch (error) {
      this.say(this.drawnAt ? "" : "This chart could not be loaded; its numbers stand in the table below.");
      this.remark(`Not refreshed: ${error.message}`);
      return false;
    }
  }

  async draw() {
    if (!this.figure) return;
    if (!hasData(this.figure)) {
      window.Plotly?.purge(this.plot);
      this.say("No data in this time range.");
      return;
    }
    const plotly = await loadPlotly();
    const style = getComputedStyle(document.documentElement);
    const colors = Object.fromEntries(COLORS.map((name) => [name, resolve(this.plot, name)]));
    const { data, layout } = painted(this.figure, colors);
    const first = !this.drawnAt;
    this.say("");
    await plotly.react(this.plot, data, layoutFor(layout, colors, style.fontFamily), CONFIG);
    this.drawnAt = Date.now();
    this.remark("");
    if (first) this.listen();
  }

  listen() {
    this.plot.on("plotly_click", ({ points }) => {
      const link = points.map(linkOf).find(Boolean);
      if (link) location.assign(link);
    });
    this.plot.on("plotly_relayout", (change) => {
      const since = Date.parse(utc(change["xaxis.range[0]"]));
      const until = Date.parse(utc(change["xaxis.range[1]"]));
      if (Number.isNaN(since) || Number.isNaN(until)) return;
      this.plot.dispatchEvent(new CustomEvent("range:chosen", { bubbles: true, detail: { since, until } }));
    });
  }

  say(text) {
    this.message.textContent = text;
  }

  remark(text) {
    if (this.note) this.note.textContent = text;
  }
}

// A custom property keeps its `light-dark()` unresolved; a colour of an element does not.
function resolve(plot, name) {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.color = `var(${name})`;
  plot.append(probe);
  const color = getComputedStyle(probe).color;
  probe.remove();
  return color;
}

// Plotly's dates have no zone; ours are all UTC.
function utc(text) {
  return typeof text === "string" ? `${text.replace(" ", "T").replace(/Z?$/, "")}Z` : "";
}
