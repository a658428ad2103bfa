/** Switches between the light and the dark theme; the system's theme is the default. */

const STORAGE_KEY = "quart-lanarky-theme";
const OTHER_THEME = { light: "dark", dark: "light" };

/**
 * Applies the saved theme, and makes a button switch the theme.
 * @param {HTMLElement} button
 */
export function setUpThemeButton(button) {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const current = () => root.dataset.theme ?? (system.matches ? "dark" : "light");
  const updateLabel = () => (button.textContent = `${OTHER_THEME[current()]} theme`);
  const saved = loadTheme();
  if (saved !== null && saved in OTHER_THEME) root.dataset.theme = saved;
  button.addEventListener("click", () => {
    root.dataset.theme = OTHER_THEME[current()];
    saveTheme(root.dataset.theme);
    updateLabel();
  });
  system.addEventListener("change", updateLabel);
  updateLabel();
}

function loadTheme() {
  try {
    return localStorage.getItem(STORAGE_KEY);
  } catch {
    return null; // the browser may deny access to its storage
  }
}

function saveTheme(theme) {
  try {
    localStorage.setItem(STORAGE_KEY, theme);
  } catch {
    // the theme then lasts until the page is closed
  }
}
