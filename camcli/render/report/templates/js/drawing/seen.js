// What the network saw of each photograph: a centre crop hides the rest.
"use strict";

(() => {
  const { el, settings } = camcli;
  // Less is worth a word: 99.5%.
  const WHOLE = 99_500;

  camcli.filters.push(camcli.shareFilter("seen", "seen", "of the photograph seen"));
  camcli.orders.seen = () => (i) => {
    const shares = camcli.columns.sides.map((side) => side.seen[i]).filter((share) => share >= 0);
    return shares.length ? Math.min(...shares) : NaN;
  };

  const note = (row, s) => {
    const share = row.sides[s].seen;
    if (share < 0 || share >= WHOLE) return null;
    const { name, whole } = settings.runs[s];
    const section = el("section", { class: "seen-note" },
      el("p", {}, el("strong", { text: `${camcli.percent(share)} of this photograph was seen` }),
        settings.runs.length > 1 ? ` by ${camcli.shown(name)}` : "",
        "; the rest, outside of the frame, the network does not know. "));
    if (!whole) return section;
    const path = `${whole.source}/${row.path}`;
    if (camcli.typeable(path)) {
      section.append(el("p", { class: "told" }, "Shown whole: ",
        camcli.command(`${whole.one} ${camcli.quoted(path)}`)));
    }
    section.append(el("p", { class: "told" }, "All of them: ", camcli.command(whole.run)));
    return section;
  };
  camcli.viewParts.push((row) => {
    const notes = row.sides.map((_, s) => note(row, s)).filter(Boolean);
    return notes.length ? el("div", { class: "seen-notes" }, ...notes) : null;
  });
})();
