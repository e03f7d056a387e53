const KEPT_AS = "millrace.theme";
const themes = ["system", "light", "dark"];

/** Loaded ahead of the first paint, so that the page is never shown in a theme that was not chosen. */
document.documentElement.dataset["theme"] = chosen();

/** @returns {string} */
function chosen() {
  try {
    const kept = localStorage.getItem(KEPT_AS) ?? "";
    return themes.includes(kept) ? kept : "system";
  } catch {
    // Storage may be forbidden; the choice then holds until the page is left.
    return "system";
  }
}

/**
 * @param {HTMLSelectElement} select
 * @param {() => void} changed called whenever the colours are others
 */
export function offerThemes(select, changed) {
  select.value = document.documentElement.dataset["theme"] ?? "system";
  select.addEventListener("change", () => {
    document.documentElement.dataset["theme"] = select.value;
    try {
      localStorage.setItem(KEPT_AS, select.value);
    } catch {
      // See above.
    }
    changed();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}
