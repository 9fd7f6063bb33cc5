// The public status page, kept fresh where scripts run; without them it loads itself anew.
//
// The page is asked for again and its content taken over only where it differs, so that whoever
// reads it is not disturbed by what has not changed.

const EVERY = 3_000;

export class StatusPage {
  /**
   * @param load () => Promise of the page's HTML; its failure shows as a note
   * @param parse (html) => Document
   */
  constructor(root, { load, parse }) {
    this.root = root;
    this.load = load;
    this.parse = parse;
    this.main = root.getElementById("main");
    this.shown = null;
  }

  async refresh() {
    if (this.root.hidden) return;
    let html;
    try {
      html = await this.load();
    } catch {
      this.note(true);
      return;
    }
    this.note(false);
    if (html === this.shown) return;
    const fresh = this.parse(html);
    const main = fresh.getElementById("main");
    if (main && main.innerHTML !== this.main.innerHTML) {
      const kept = this.kept();
      this.main.replaceChildren(...main.childNodes);
      this.restore(kept);
      this.root.title = fresh.title;
    }
    this.shown = html;
  }

  // What the reader has opened, and where the focus is, outlive what is taken over.
  kept() {
    const open = [...this.main.querySelectorAll("details[open]")].map((each) => each.id);
    const focused = this.root.activeElement?.closest?.("details, [id], a[href]");
    return { open, focus: focused && this.main.contains(focused) ? selector(focused) : "" };
  }

  restore({ open, focus }) {
    for (const id of open) this.root.getElementById(id)?.setAttribute("open", "");
    if (focus) this.main.querySelector(focus)?.focus();
  }

  note(failed) {
    const note = this.root.getElementById("not-refreshed");
    if (note) note.hidden = !failed;
  }
}

function selector(element) {
  if (element.localName === "details") return `#${CSS.escape(element.id)} > summary`;
  if (element.id) return `#${CSS.escape(element.id)}`;
  return `a[href="${CSS.escape(element.getAttribute("href"))}"]`;
}

async function load() {
  // While the store is down the page says so itself, with 503.
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!response.ok && response.status !== 503) throw new Error(`answered ${response.status}`);
  return response.text();
}

if (globalThis.document?.documentElement.dataset.refreshing) {
  const page = new StatusPage(document, {
    load,
    parse: (html) => new DOMParser().parseFromString(html, "text/html"),
  });
  setInterval(() => void page.refresh(), EVERY);
  document.addEventListener("visibilitychange", () => void page.refresh());
}
