/** Light or dark: what the system says, until the person says something else. */

const KEY = "quart-lanarky-theme";
const NEXT = { light: "dark", dark: "light" };

/** Let a button switch between light and dark. */
export function switchTheme(control) {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const current = () => root.dataset.theme ?? (system.matches ? "dark" : "light");
  const show = () => (control.textContent = `${NEXT[current()]} theme`);
  const kept = stored();
  if (kept !== null && kept in NEXT) root.dataset.theme = kept;
  control.addEventListener("click", () => {
    root.dataset.theme = NEXT[current()];
    store(root.dataset.theme);
    show();
  });
  system.addEventListener("change", show);
  show();
}

function stored() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // a browser may keep nothing
  }
}

function store(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // it holds until the page is closed
  }
}
