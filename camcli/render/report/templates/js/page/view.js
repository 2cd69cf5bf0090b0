// The large view of one row.
"use strict";

(() => {
  const { el, byId } = camcli;
  const dialog = byId("view");
  const body = byId("view-body");
  let shown = -1; // the row's number

  const guesses = (row, detail, s) => {
    const side = row.sides[s];
    const table = el("table", { class: "guesses" }, el("caption", { text: "Best guesses" }));
    const rows = [[side.pred, side.prob]];
    const { top } = detail.sides[s];
    for (let i = 0; i < top.length; i += 2) rows.push([top[i], top[i + 1]]);
    for (const [number, prob] of rows) {
      const bar = el("span", { class: "meter" });
      const level = el("span");
      level.style.width = `${prob / 1000}%`;
      bar.append(level);
      const isTruth = camcli.isTrue(row, number, s);
      table.append(el("tr", { class: isTruth ? "is-truth" : "" },
        el("th", { scope: "row" }, camcli.className(number), isTruth
          ? el("span", { class: "pill", text: row.labels ? "true label" : "true class" }) : null),
        el("td", {}, bar),
        el("td", { class: "number", text: camcli.percent(prob) })));
    }
    return table;
  };

  const column = (row, detail, s, map, heading, kind) => {
    const side = row.sides[s];
    const { noClass } = camcli.settings.runs[s];
    const alt = map
      ? `${camcli.shown(row.path)}, with ${noClass ? "a map of no class"
        : `the evidence for ${camcli.className(map[0])}`}`
      : camcli.altOf(row, s);
    const head = el("h3", { class: kind }, el("span", { class: "hint", text: heading }));
    if (map) {
      head.append(el("span", { text: camcli.className(map[0]) }),
        side.value ? "" : el("span", { class: "prob", text: camcli.percent(map[1]) }));
    } else if (side.pred >= 0) {
      head.append(el("span", { text: camcli.className(side.pred) }));
    }
    const figure = el("div", { class: "sight" }, head,
      camcli.stage(row, detail, s, map, { large: true, alt }));
    if (map && map[2]) {
      figure.append(camcli.colourBar({ prob: map[1], high: map[3], s }));
      const weak = camcli.weakNote(map[1], s);
      if (weak) figure.append(weak);
    } else if (map) {
      figure.append(el("p", { class: "hint", text: noClass ? "Nothing in the map."
        : "No positive evidence for this class." }));
    }
    return figure;
  };

  const facts = (row, detail, s) => {
    const list = el("dl", { class: "facts" });
    const add = (name, ...value) => list.append(el("dt", { text: name }), el("dd", {}, ...value));
    const side = row.sides[s];
    const own = detail.sides[s];
    const { runs, contained } = camcli.settings;
    if (own.error) add("Error", camcli.shown(own.error));
    if (side.verdict in { r: 1, w: 1 }) {
      add("Verdict", el("span", { class: `sign ${side.verdict}`,
        text: `${camcli.verdictSign[side.verdict]} ${camcli.verdictWord[side.verdict]}` }));
    }
    if (side.value) add("Value", camcli.saidOf(side));
    if (side.positives) add("Predicted", camcli.saidOf(side));
    if (row.moved !== undefined) add("Path", camcli.shown(camcli.pathOf(row, s)));
    if (row.labels) add("True labels", camcli.truthOf(row, s));
    else if (row.label >= 0) add("True class", camcli.truthOf(row, s));
    if (side.border >= 0) add("Heat at the border", camcli.percent(side.border));
    if (side.area >= 0) add("Hot area", camcli.percent(side.area));
    if (side.on_object >= 0) add("Heat on the object", camcli.percent(side.on_object));
    const map = own.maps[0] && camcli.parseMap(own.maps[0][2]);
    if (map) {
      const less = Math.max(map.h, map.w) === camcli.settings.averaged ? ", averaged for this page" : "";
      add("Map", `${map.h} × ${map.w} cells${less}`);
    }
    if (side.seen >= 0) add("Seen", side.seen >= 99500 ? "all of it" : `${camcli.percent(side.seen)} of it`);
    if (detail.size) add("Size", `${detail.size[0]} × ${detail.size[1]} pixels`);
    if (!contained) {
      const links = [];
      if (side.verdict !== "m" && !own.outside) {
        links.push(el("a", { href: runs[s].photos + camcli.url(camcli.pathOf(row, s)), text: "photograph" }));
      }
      if (own.overlay) {
        links.push(links.length ? " · " : "",
          el("a", { href: runs[s].overlays + camcli.url(own.overlay), text: "overlay" }));
      }
      if (links.length) add("Files", ...links);
    }
    return list;
  };

  const single = (row, detail) => {
    const own = detail.sides[0];
    const sights = el("div", { class: "sights" });
    if (!own.maps.length) sights.append(column(row, detail, 0, null, "", ""));
    own.maps.forEach((map, n) => {
      const side = row.sides[0];
      const isPrediction = !side.value && camcli.isSaid(side, map[0]);
      const isTruth = camcli.isTrue(row, map[0]);
      const heading = side.value ? "What raises" : isPrediction ? "Predicted"
        : isTruth ? (row.labels ? "True label" : "True class") : n ? `Guess ${n + 1}` : "Explained";
      const kind = isTruth ? "right" : isPrediction && side.verdict === "w" ? "wrong" : "";
      sights.append(column(row, detail, 0, map, heading, kind));
    });
    if (own.truth) sights.append(column(row, detail, 0, own.truth, "True class", "right"));
    sights.append(camcli.differenceSight(row, detail, 0) || "");
    const text = el("div", { class: "words" });
    if (row.sides[0].pred >= 0 && !row.sides[0].value) text.append(guesses(row, detail, 0));
    text.append(facts(row, detail, 0));
    return [sights, text];
  };

  const double = (row, detail) => {
    const sights = el("div", { class: "sights" });
    row.sides.forEach((side, s) => {
      const own = detail.sides[s];
      const kind = { r: "right", w: "wrong" }[side.verdict] || "";
      const sight = el("div", { class: "sight-side" });
      sight.append(el("p", { class: "run-name", text: camcli.shown(camcli.settings.runs[s].name) }));
      if (side.verdict === "m") {
        sight.append(el("p", { class: "hint", text: "This image is not in this run." }));
      } else {
        sight.append(column(row, detail, s, own.maps[0] || null, "", kind));
        sight.append(camcli.differenceSight(row, detail, s) || "");
        if (side.pred >= 0 && !side.value) sight.append(guesses(row, detail, s));
        sight.append(facts(row, detail, s));
      }
      sights.append(sight);
    });
    if (row.similarity >= 0) {
      sights.append(el("p", { class: "hint across",
        text: `Similarity of the two heatmaps: ${(row.similarity / 100000).toFixed(2)}` }));
    }
    return [sights];
  };

  const fill = (id) => {
    const row = camcli.rowOf(id);
    byId("view-title").textContent = camcli.shown(row.path);
    const ids = camcli.selection();
    const place = ids.indexOf(id);
    byId("view-place").textContent =
      place < 0 ? "not in this selection" : `${camcli.count(place + 1)} of ${camcli.count(ids.length)}`;
    byId("view-prev").disabled = place <= 0;
    byId("view-next").disabled = place < 0 || place >= ids.length - 1;
    const detail = camcli.detailOf(id, () => { if (shown === id) fill(id); });
    if (!detail) {
      body.replaceChildren(el("p", { class: "hint", text: "Loading…" }));
      return;
    }
    const more = camcli.viewParts.map((part) => part(row, detail)).filter(Boolean);
    body.replaceChildren(...(row.sides.length > 1 ? double(row, detail) : single(row, detail)),
      ...(more.length ? [el("div", { class: "view-more" }, ...more)] : []));
  };

  // Something that it shows has changed or has arrived.
  camcli.refillView = () => { if (dialog.open) fill(shown); };

  // Show what the URL says: a path, or null to close.
  camcli.showView = (path) => {
    if (path === null) {
      if (dialog.open) {
        dialog.close();
        const place = camcli.selection().indexOf(shown);
        shown = -1;
        // Opened from another tab, the focus goes back to there by itself.
        if (place >= 0 && !byId("images").hidden) camcli.focusCard(place);
      }
      return;
    }
    const id = camcli.columns.path.indexOf(path);
    if (id < 0) return; // not here, or not here yet: asked again when more rows arrive
    if (shown === id && dialog.open) return;
    shown = id;
    fill(id);
    body.scrollTop = 0;
    if (!dialog.open) {
      dialog.showModal();
      byId("view-next").focus();
    }
  };

  const step = (by) => {
    const ids = camcli.selection();
    const place = ids.indexOf(shown);
    if (place < 0 || place + by < 0 || place + by >= ids.length) return;
    camcli.writeHash({ open: camcli.columns.path[ids[place + by]] }, { replace: true });
  };

  const close = () => camcli.writeHash({ open: null });
  byId("view-prev").addEventListener("click", () => step(-1));
  byId("view-next").addEventListener("click", () => step(1));
  byId("view-close").addEventListener("click", close);
  dialog.addEventListener("cancel", (event) => { event.preventDefault(); close(); });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) close(); });
  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.type === "range") return; // arrows move the slider there
    if (event.key === "ArrowRight") step(1);
    else if (event.key === "ArrowLeft") step(-1);
    else return;
    event.preventDefault();
  });
  byId("view-box").addEventListener("change", (event) => {
    body.classList.toggle("boxed", event.target.checked);
  });
})();
