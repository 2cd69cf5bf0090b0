// Light or dark: as the system says, until the reader says otherwise. Every page has this one.
"use strict";

(() => {
  const root = document.documentElement;
  const remembered = (() => { try { return localStorage.getItem("camcli-theme"); } catch { return null; } })();
  if (remembered === "light" || remembered === "dark") root.dataset.theme = remembered;
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("camcli-theme", root.dataset.theme); } catch { /* not kept */ }
  });
})();
