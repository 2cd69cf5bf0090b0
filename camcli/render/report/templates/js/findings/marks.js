// What a check suggests, as marks: under a label that is probably wrong the one that it looks like,
// under a copy, or what stands out, that it goes. It is marked, and nothing is done yet.
"use strict";

(() => {
  const { el, shown } = camcli;
  const GO = new Set(["exact duplicate", "near duplicate", "duplicate across splits",
    "duplicate of another label", "unreadable", "outlier", "dark", "bright", "blurred", "tiny",
    "blank", "odd aspect"]);

  // The mark that is suggested, or null.
  const suggested = (card, suggestion) => {
    if (card.kind === "suspect label") {
      return camcli.settings.classes.includes(suggestion)
        ? { mark: "relabel", label: suggestion, words: `Relabel: ${shown(suggestion)}` } : null;
    }
    return GO.has(card.kind) ? { mark: "drop", label: "", words: "Drop" } : null;
  };

  const drawn = new Set(); // of buttons that are in the document
  const update = (button) => {
    const { path, want } = button.camcli;
    const now = camcli.marks.get(path);
    button.setAttribute("aria-pressed", Boolean(now && now.mark === want.mark
      && (want.mark !== "relabel" || now.label === want.label)));
  };

  // A button that marks a row so, and takes it back; null where nothing is suggested.
  camcli.findings.fix = (card, id, suggestion) => {
    const want = camcli.marks && suggested(card, suggestion);
    if (!want) return null;
    const path = camcli.columns.path[id];
    const button = el("button", { type: "button", class: "plain fix", text: want.words,
      "aria-label": `${want.words}: ${shown(path)}` });
    button.camcli = { path, want };
    button.addEventListener("click", () => {
      const off = button.getAttribute("aria-pressed") === "true";
      const old = camcli.marks.get(path);
      const note = old ? old.note : "";
      camcli.marks.change([[path, !off ? { mark: want.mark, label: want.label, note }
        : note ? { mark: "note", note } : null]]);
    });
    update(button);
    drawn.add(button);
    return button;
  };

  if (camcli.marks) {
    camcli.marks.onChange(() => {
      for (const button of drawn) {
        if (button.isConnected) update(button);
        else drawn.delete(button);
      }
    });
  }
})();
