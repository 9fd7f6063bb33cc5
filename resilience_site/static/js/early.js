// Loaded in the head and run before the first paint, so that no page flashes in the wrong colours.
(() => {
  const root = document.documentElement;
  root.dataset.js = "";
  try {
    const theme = localStorage.getItem("rcp.theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  } catch {
    // Storage may be forbidden; the system's colours are a fine answer.
  }
})();
