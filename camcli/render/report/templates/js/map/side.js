// Beside the map: what its colours mean, and what is selected.
"use strict";

(() => {
  const { el, count, code } = camcli;
  const RIGHT = code("r"), WRONG = code("w");
  const SHOWN = 24; // photographs of a selection
  const CLASSES = 6; // of a selection
  const keys = () => ["from", "to", "like", "unlike", ...camcli.filterKeys.filter((k) => k !== "sort"),
    ...camcli.filters.flatMap((filter) => filter.keys)];

  const swatch = (colour) => {
    const mark = el("span", { class: "swatch", "aria-hidden": "true" });
    mark.style.background = colour;
    return mark;
  };
  const entry = (each, state) => {
    const words = [swatch(each.colour), el("span", { class: "name", text: each.text }),
      el("span", { class: "prob", text: count(each.size) })];
    if (!each.changes) return el("li", {}, el("span", { class: "entry" }, ...words));
    const [[key, value]] = Object.entries(each.changes);
    const on = state.get(key) === value;
    const link = el("a", { class: "entry", href: camcli.linkTo({ tab: "map", [key]: value }, false),
      "aria-current": on ? "true" : null }, ...words);
    link.addEventListener("click", (event) => {
      if (camcli.opensElsewhere(event)) return;
      event.preventDefault();
      camcli.writeHash({ [key]: on ? null : value });
    });
    return el("li", {}, link);
  };
  camcli.mapLegend = (colours, wrong, state) => {
    const parts = [];
    if (colours.scale) {
      const ramp = el("span", { class: "map-ramp", "aria-hidden": "true" });
      ramp.style.background = `linear-gradient(to right, ${colours.scale.colours.join(", ")})`;
      parts.push(ramp, el("div", { class: "ends hint" }, el("span", { text: colours.scale.low }),
        el("span", { text: colours.scale.high })));
      if (colours.without) parts.push(el("p", { class: "hint", text: `grey: ${count(colours.without)} without` }));
    } else {
      parts.push(el("ul", { class: "entries" }, ...colours.entries.map((each) => entry(each, state))));
    }
    if (wrong.includes(1)) parts.push(el("p", { class: "hint shapes" }, el("span", { class: "diamond", "aria-hidden": "true" }), "taken for another class"));
    return parts;
  };
  camcli.mapSummary = (state) => {
    const ids = camcli.selection();
    const asked = keys().some((key) => state.get(key));
    if (!asked || (ids.length === camcli.loaded && !state.get("near"))) {
      return [el("h3", { text: "Select some" }),
        el("p", { class: "hint", text: "Drag over the map to select photographs; they are shown here and in the gallery. "
          + "A click opens one. Once the map has been clicked, the wheel zooms; with Alt held down, dragging moves it." })];
    }
    const all = new URLSearchParams(state);
    all.delete("tab");
    all.delete("colour");
    const { verdict, pred } = camcli.columns.sides[0];
    const truth = camcli.settings.summaries[0].counts.r + camcli.settings.summaries[0].counts.w > 0
      && !camcli.settings.several;
    let right = 0, judged = 0;
    const classes = new Map();
    for (const i of ids) {
      right += verdict[i] === RIGHT;
      judged += verdict[i] === RIGHT || verdict[i] === WRONG;
      const own = truth ? camcli.columns.label[i] : pred[i];
      if (own >= 0) classes.set(own, (classes.get(own) || 0) + 1);
    }
    const most = [...classes].sort((a, b) => b[1] - a[1]).slice(0, CLASSES);
    const clear = el("button", { type: "button", class: "quiet", text: "Clear" });
    clear.addEventListener("click", () => {
      camcli.writeHash(Object.fromEntries(keys().map((key) => [key, null])));
      camcli.byId("map-body").querySelector(".points").focus();
    });
    const near = state.get("sort") ? null : state.get("near");
    return [
      el("h3", {}, `${count(ids.length)} of ${count(camcli.settings.rows)} `, clear),
      near ? el("p", { class: "hint", text: `Those most like ${camcli.fileName(near)} first.` }) : null,
      judged ? el("p", { text: `${camcli.percent(Math.round((100000 * right) / judged))} of ${count(judged)} right` }) : null,
      classes.size ? el("p", { class: "hint", text: `${truth ? "In truth" : "Taken for"}: ${most.map(([c, n]) =>
        `${camcli.className(c)} ${count(n)}`).join(", ")}${classes.size > most.length ? `, and ${count(classes.size - most.length)} more classes` : ""}` }) : null,
      el("p", {}, el("a", { href: `#${all}`, text: "Show them in the gallery" })),
      el("ul", { class: "alike" }, ...[...ids.slice(0, SHOWN)].map((id) => el("li", {}, camcli.smallLink(id)))),
      ids.length > SHOWN ? el("p", { class: "hint", text: `and ${count(ids.length - SHOWN)} more` }) : null,
    ].filter(Boolean);
  };
})();
