// Light and dark: as the system has it, until the button says otherwise.

const KEY = "plimsoll-theme";
const NEXT = { auto: "light", light: "dark", dark: "auto" };
const WORDS = { auto: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" };
const SIGNS = { auto: "◐", light: "☀", dark: "☾" };
const system = matchMedia("(prefers-color-scheme: dark)");

function stored() {
  const value = localStorage.getItem(KEY);
  return value in NEXT ? value : "auto";
}

function apply(button) {
  const chosen = stored();
  const dark = chosen === "dark" || (chosen === "auto" && system.matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  button.textContent = SIGNS[chosen];
  button.setAttribute("aria-label", `${WORDS[chosen]}. Change`);
  button.title = WORDS[chosen];
}

/** Wires the button; `onChange` draws charts anew. */
export function followTheme(button, onChange) {
  const changed = () => {
    apply(button);
    onChange();
  };
  apply(button);
  system.addEventListener("change", changed);
  button.addEventListener("click", () => {
    localStorage.setItem(KEY, NEXT[stored()]);
    changed();
  });
}

/** A colour of the style sheet. */
export function colour(variable) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${variable}`).trim();
}
