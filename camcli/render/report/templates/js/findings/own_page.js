// The page of findings: what is shown, light or dark, paths into the clipboard.
"use strict";

(() => {
  const byId = (id) => document.getElementById(id);
  const cards = [...document.querySelectorAll(".finding")];
  const tiles = [...document.querySelectorAll(".filters .tile")];
  const label = byId("label");
  let key = "";

  const update = () => {
    let count = 0;
    for (const card of cards) {
      card.hidden = Boolean((key && card.dataset.key !== key)
        || (label && label.value && card.dataset.label !== label.value));
      count += !card.hidden;
    }
    for (const section of document.querySelectorAll("[data-section]")) {
      section.hidden = !section.querySelector(".finding:not([hidden])");
    }
    for (const tile of tiles) tile.setAttribute("aria-pressed", tile.dataset.key === key);
    const all = count === cards.length;
    byId("found").textContent = all ? "" : `${count} of ${cards.length} findings`;
  };

  for (const tile of tiles) {
    tile.addEventListener("click", () => {
      key = tile.dataset.key === key ? "" : tile.dataset.key;
      update();
    });
  }
  if (label) label.addEventListener("change", update);
  const outlines = byId("outlines");
  if (outlines) {
    outlines.closest("label").hidden = !document.querySelector(".shot rect");
    outlines.addEventListener("change", () => {
      document.body.classList.toggle("plain-photographs", !outlines.checked);
    });
  }

  // Where there is no clipboard the text is selected, for the reader to copy.
  for (const button of document.querySelectorAll("[data-copy]")) {
    const text = byId(button.dataset.copy);
    const words = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      let done = false;
      try {
        await navigator.clipboard.writeText(text.textContent);
        done = true;
      } catch {
        getSelection().selectAllChildren(text);
        try { done = document.execCommand("copy"); } catch { /* selected, at least */ }
      }
      button.textContent = done ? "Copied" : "Selected";
      setTimeout(() => { button.textContent = words; }, 1500);
    });
  }
})();
