/** Dark or light: as the system wants it, until the button says otherwise. */

import { byId } from "./dom.js";

const DARK = matchMedia("(prefers-color-scheme: dark)");

/** `onchange` is called whenever colours are different from now on. */
export function followTheme(store, onchange) {
  const apply = () => {
    document.documentElement.style.colorScheme = store.get("theme") || "light dark";
    byId("theme").setAttribute("aria-label", `Switch to ${isDark(store) ? "light" : "dark"} colours`);
    onchange();
  };
  byId("theme").addEventListener("click", () => store.set("theme", isDark(store) ? "light" : "dark"));
  DARK.addEventListener("change", apply);
  store.watch("theme", apply);
}

const isDark = (store) => (store.get("theme") || (DARK.matches ? "dark" : "light")) === "dark";
