// Auto, light or dark. Tells the page with `theme:change`, so that charts take the new colours.

import { load, save } from "./store.js";

export function startTheme() {
  const buttons = [...document.querySelectorAll("[data-theme-choice]")];
  const show = (choice) => {
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === choice));
    }
  };
  const apply = (choice) => {
    if (choice === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
    show(choice);
    document.dispatchEvent(new CustomEvent("theme:change"));
  };
  for (const button of buttons) {
    button.addEventListener("click", () => {
      save("theme", button.dataset.themeChoice);
      apply(button.dataset.themeChoice);
    });
  }
  show(load("theme", "auto"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    document.dispatchEvent(new CustomEvent("theme:change"));
  });
}
