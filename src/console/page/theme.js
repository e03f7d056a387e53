const KEPT_AS = "millrace.theme";
const themes = ["system", "light", "dark"];
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

let choice = kept();
/** Loaded ahead of the first paint, so that the page is never shown in a theme that was not chosen. */
show();

/** @returns {string} */
function kept() {
  try {
    const name = localStorage.getItem(KEPT_AS) ?? "";
    return themes.includes(name) ? name : "system";
  } catch {
    // Storage may be forbidden; the choice then holds until the page is left.
    return "system";
  }
}

function show() {
  const system = systemIsDark.matches ? "dark" : "light";
  document.documentElement.dataset["theme"] = choice === "system" ? system : choice;
}

/**
 * @param {HTMLSelectElement} select
 * @param {() => void} changed called whenever the colours are others
 */
export function offerThemes(select, changed) {
  select.value = choice;
  select.addEventListener("change", () => {
    choice = select.value;
    show();
    try {
      localStorage.setItem(KEPT_AS, choice);
    } catch {
      // See above.
    }
    changed();
  });
  systemIsDark.addEventListener("change", () => {
    show();
    changed();
  });
}
