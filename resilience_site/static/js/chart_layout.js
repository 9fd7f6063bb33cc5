// How charts look: one place for Plotly's settings. Pure: colours come in, a layout comes out.

// Plotly would offer to upload the figure to its makers' cloud.
export const CONFIG = Object.freeze({
  showSendToCloud: false,
  plotlyServerURL: "",
  displaylogo: false,
  displayModeBar: false,
  responsive: true,
  doubleClick: false,
});

// The library carries a map's style sheet, which our content security policy forbids, and leaves it
// out where this id is taken. We draw no maps.
export const MAP_STYLE_ID = "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53";

export const COLORS = [
  "--ink",
  "--ink-muted",
  "--line",
  "--line-strong",
  "--raised",
  "--series-1",
  "--series-2",
  "--series-3",
  "--series-4",
  "--series-5",
  "--series-6",
  "--series-bad",
  "--fill-ok",
  "--fill-warn",
  "--fill-bad",
  "--fill-info",
  "--fill-idle",
];

/** The figure with every `var(--token)` replaced by its colour. */
export function painted(figure, colors) {
  const swap = (value) => {
    if (typeof value === "string") {
      const token = /^var\((--[a-z0-9-]+)\)$/.exec(value)?.[1];
      return token ? (colors[token] ?? value) : value;
    }
    if (Array.isArray(value)) return value.map(swap);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, swap(each)]));
    }
    return value;
  };
  return { data: swap(figure.data ?? []), layout: swap(figure.layout ?? {}) };
}

/** The house's layout beneath the figure's own. */
export function layoutFor(own, colors, font) {
  const axis = {
    gridcolor: colors["--line"],
    linecolor: colors["--line-strong"],
    zerolinecolor: colors["--line-strong"],
    tickfont: { color: colors["--ink-muted"] },
    automargin: true,
    fixedrange: false,
  };
  return {
    autosize: true,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: font, size: 11, color: colors["--ink"] },
    margin: { l: 44, r: 12, t: 28, b: 28 },
    colorway: [1, 2, 3, 4, 5, 6].map((number) => colors[`--series-${number}`]),
    hovermode: "x unified",
    hoverlabel: {
      bgcolor: colors["--raised"],
      bordercolor: colors["--line-strong"],
      font: { color: colors["--ink"], family: font, size: 12 },
    },
    dragmode: "zoom",
    showlegend: (own.showlegend ?? true) === true,
    ...own,
    legend: { orientation: "h", x: 1, xanchor: "right", y: 1.02, yanchor: "bottom", ...own.legend },
    xaxis: { ...axis, showgrid: false, ...own.xaxis },
    yaxis: { ...axis, rangemode: "tozero", fixedrange: true, ...own.yaxis },
    // Constant, so that a zoom outlives an update.
    uirevision: own.uirevision ?? "kept",
  };
}

/** Whether there is a single value to draw. */
export function hasData(figure) {
  return (figure.data ?? []).some((trace) =>
    (trace.y ?? trace.z ?? trace.values ?? []).some((value) => value !== null),
  );
}

/** Where a click on a point leads: the link in its custom data, if it is one of this site. */
export function linkOf(point) {
  const link = Array.isArray(point?.customdata) ? point.customdata[0] : point?.customdata;
  return typeof link === "string" && /^[/?](?!\/)/.test(link) ? link : null;
}
