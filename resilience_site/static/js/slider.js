// A slider that says where it stands, and asks for the page there once it is let go.

export function startSliders() {
  document.addEventListener("input", ({ target }) => {
    const form = target.closest("form[data-slides]");
    if (!form || target.type !== "range") return;
    const name = target.list?.options[target.value]?.label;
    if (name) form.querySelector("output").value = name;
  });
  document.addEventListener("change", ({ target }) => {
    if (target.type === "range") target.closest("form[data-slides]")?.requestSubmit();
  });
}
