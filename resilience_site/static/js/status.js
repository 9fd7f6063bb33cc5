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
      this.main.replaceChildren(...main.childNodes);
      this.root.title = fresh.title;
    }
    this.shown = html;
  }

  note(failed) {
    const note = this.root.getElementById("not-refreshed");
    if (note) note.hidden = !failed;
  }
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
