// The tab of how the network was trained: its curves, its settings and the held-out numbers.
"use strict";

(() => {
  const { el, svg, byId, count, shown } = camcli;
  const WIDTH = 440, HEIGHT = 230, LEFT = 46, RIGHT = 8, TOP = 8, BOTTOM = 34;

  const label = (number) => {
    if (number === 0) return "0";
    const size = Math.abs(number);
    return size >= 0.001 && size < 10000 ? String(Number(number.toPrecision(3))) : number.toExponential(0);
  };

  // Round numbers between two others, five at most.
  const ticks = (low, high) => {
    const rough = (high - low) / 4 || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
    const found = [];
    for (let v = Math.ceil(low / step) * step; v <= high + step / 1e6; v += step) found.push(v);
    return found;
  };

  // Curves on common axes. curves: [{name, kind, points: [[x, y], ...]}]
  const chart = ({ title, curves, x, log, divider, most }) => {
    const points = curves.flatMap((curve) => curve.points);
    const xs = points.map(([v]) => (log ? Math.log10(v) : v)), ys = points.map(([, v]) => v);
    const [left, right] = [Math.min(...xs), Math.max(...xs)];
    let [low, high] = [Math.min(...ys), Math.max(...ys)];
    const spare = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
    [low, high] = [low >= 0 ? Math.max(0, low - spare) : low - spare, Math.min(high + spare, most)];
    const atX = (v) => LEFT + (right > left
      ? (((log ? Math.log10(v) : v) - left) / (right - left)) * (WIDTH - LEFT - RIGHT)
      : (WIDTH - LEFT - RIGHT) / 2);
    const atY = (v) => TOP + (1 - (v - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
    const told = curves.map(({ name, points: own }) =>
      `${name} ${label(own[0][1])} to ${label(own[own.length - 1][1])}`).join(", ");
    const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "curves", role: "img",
      "aria-label": `${title} by ${x}: ${told}` });
    for (const v of ticks(low, high)) {
      drawing.append(svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: atY(v), y2: atY(v) }),
        svg("text", { class: "tick end", x: LEFT - 6, y: atY(v) + 4 }, label(v)));
    }
    const shownX = log ? [...new Set(points.map(([v]) => v))]
      : ticks(left, right).filter((v) => Number.isInteger(v));
    const few = shownX.filter((_, i) => i % Math.ceil(shownX.length / 8) === 0);
    for (const v of few) {
      const edge = atX(v) > WIDTH - RIGHT - 14; // where half of a number would be cut off
      drawing.append(svg("text", { class: `tick ${edge ? "end" : "middle"}`, x: edge ? WIDTH - 1 : atX(v),
        y: HEIGHT - BOTTOM + 15 }, label(v)));
    }
    drawing.append(svg("text", { class: "tick middle", x: LEFT + (WIDTH - LEFT - RIGHT) / 2, y: HEIGHT - 3 }, x));
    if (divider) {
      const at = atX(divider);
      drawing.append(svg("line", { class: "divider", x1: at, x2: at, y1: TOP, y2: HEIGHT - BOTTOM }),
        svg("text", { class: "tick", x: at + 4, y: TOP + 11 }, "fine-tuning"));
    }
    for (const { name, kind, points: own } of curves) {
      const place = ([a, b]) => `${atX(a).toFixed(1)},${atY(b).toFixed(1)}`;
      drawing.append(svg("polyline", { class: `curve ${kind}`, points: own.map(place).join(" ") }));
      if (own.length <= 60) {
        for (const [a, b] of own) {
          const [cx, cy] = [atX(a), atY(b)];
          const point = kind === "train" ? svg("circle", { cx, cy, r: 3 })
            : svg("path", { d: `M${cx - 4} ${cy}L${cx} ${cy - 4}L${cx + 4} ${cy}L${cx} ${cy + 4}Z` });
          point.setAttribute("class", `point ${kind}`);
          point.append(svg("title", {}, `${name}, ${x} ${label(a)}: ${label(b)}`));
          drawing.append(point);
        }
      }
    }
    return el("figure", { class: "panel" }, el("figcaption", { text: title }), drawing);
  };

  const SECOND = [["map", "Mean average precision"], ["acc", "Accuracy"]];
  const curves = (epochs) => {
    const first = epochs.filter((row) => (row.stage || 1) === 1);
    const log = first.length === epochs.length && epochs.every((row) => row.l2 > 0);
    const at = (row, i) => (log ? row.l2 : i + 1);
    const members = [...new Set(epochs.map((row) => row.member || 0))];
    const second = SECOND.find(([key]) => epochs.some((row) => `val_${key}` in row || `train_${key}` in row));
    const charts = [["loss", "Loss (cross-entropy)"], ...(second ? [second] : [])].map(([key, title]) => {
      const found = [];
      for (const [split, name] of [["train", "training"], ["val", "validation"]]) {
        for (const member of members) {
          const points = epochs.map((row, i) => [at(row, i), row[`${split}_${key}`], row.member || 0])
            .filter(([, y, own]) => y !== undefined && own === member).map(([x, y]) => [x, y]);
          if (log) points.sort((a, b) => a[0] - b[0]);
          if (points.length) found.push({ name, kind: split, points });
        }
      }
      if (!found.length) return null;
      const divider = !log && first.length && first.length < epochs.length && members.length < 2
        ? first.length + 0.5 : 0;
      return chart({ title, curves: found, x: log ? "L2 strength" : "epoch", log, divider,
        most: key === "loss" ? Infinity : Math.max(1, ...found.flatMap(({ points }) => points.map(([, y]) => y))) });
    });
    return el("div", {}, el("p", { class: "curve-legend hint" },
      el("i", { class: "train", text: "●", "aria-hidden": "true" }), "training",
      el("i", { class: "val", text: "◆", "aria-hidden": "true" }), "validation, dashed"),
    el("div", { class: "charts" }, ...charts.filter(Boolean)));
  };

  // What more photographs would give.
  const sizes = (rows) => {
    const found = [["error", "on held-out photographs", "train"], ["law", "what is expected", "val"]]
      .map(([key, name, kind]) => ({ name, kind,
        points: rows.filter((row) => key in row).map((row) => [row.images, row[key]]) }))
      .filter(({ points }) => points.length);
    return el("section", { class: "measured" }, el("h3", { text: "What more photographs would give" }),
      el("p", { class: "curve-legend hint" },
      el("i", { class: "train", text: "●", "aria-hidden": "true" }), "on held-out photographs",
      el("i", { class: "val", text: "◆", "aria-hidden": "true" }), "what is expected, up to twice as many, dashed"),
      el("div", { class: "charts" }, chart({ title: "Errors by the number of training photographs", curves: found,
      x: "training photographs", log: true, divider: 0, most: 1 })));
  };

  const IN = { val: "validation", train: "training" };
  const copies = (rows) => el("section", { class: "measured" },
    el("h3", { text: `In two splits (${count(rows.length)})` }),
    el("p", { class: "hint", text: "What was trained on is known by heart, so these make the numbers look too good." }),
    el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "In two splits" },
      el("table", { class: "list" }, camcli.tableHead("Photograph", "Split", "Copy of", "Split", "How"),
        el("tbody", {}, ...rows.map(([path, split, other, there, kind, alike]) => el("tr", {},
          ...[shown(path), IN[split] || split, shown(other), IN[there] || there, alike === "0" ? `${kind}, labelled differently` : kind]
            .map((text) => el("td", { text: camcli.isolated(text) }))))))));

  const COLUMNS = [["epoch", "Epoch"], ["train_loss", "Training loss"], ["val_loss", "Validation loss"],
    ["train_acc", "Training accuracy"], ["val_acc", "Validation accuracy"],
    ["train_map", "Training mean AP"], ["val_map", "Validation mean AP"], ["l2", "L2"], ["lr", "Learning rate"]];
  const epochTable = (epochs) => {
    const there = COLUMNS.filter(([key]) => epochs.some((row) => key in row));
    return el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Epochs" },
      el("table", { class: "list" }, camcli.tableHead(...there.map(([, title]) => title)),
        el("tbody", {}, ...epochs.map((row) => el("tr", {}, ...there.map(([key]) =>
          el("td", { class: "number", text: key in row ? label(row[key]) : "–" })))))));
  };

  const SCORES = { top1: "accuracy", exact: "all labels right", top5: "right class in the first five",
    mean_ap: "mean average precision", micro_ap: "average precision, all labels together",
    f1_macro: "F1, mean of labels", f1_micro: "F1, all labels together", log_loss: "log-loss",
    ece: "calibration error" };
  const SHARES = new Set(["top1", "exact", "top5"]);
  const split = ({ name, scores, classes, confused }, n) => {
    const tiles = el("div", { class: "tiles scores" }, ...Object.entries(SCORES)
      .filter(([key]) => key in scores && !camcli.tellsNothing(key)).map(([key, words]) => el("div", { class: "tile" },
        el("strong", { text: SHARES.has(key) ? `${camcli.fixed(100 * scores[key], 1)}%` : scores[key].toFixed(3) }),
        el("span", { text: words }))));
    const inside = [el("h3", { text: `On the ${name} photographs${scores.count ? ` (${count(scores.count)})` : ""}` }), tiles];
    if (classes.length) {
      const known = camcli.settings.classes;
      const table = el("table", { class: "list" });
      const more = el("button", { type: "button", class: "plain", hidden: true });
      const search = el("input", { type: "search", placeholder: "class name" });
      const found = el("p", { class: "hint", role: "status" });
      const share = (title, i, bar, hint) => ({ title, kind: "number", hint, value: (row) => row[i],
        cell: (row) => (row[i] === null ? "–"
          : [bar ? camcli.meter(row[i], "r") : null, bar ? `${camcli.fixed(100 * row[i], 0)}%` : row[i].toFixed(3)]) });
      const columns = [
        { title: "Class", head: true, value: (row) => row[0], cell: ([own]) => {
          const text = camcli.isolated(shown(own));
          return known.includes(own) ? el("a", { href: camcli.linkTo({ true: own }), text }) : text;
        } },
        { title: "Photographs", kind: "number", down: true, value: (row) => row[1],
          cell: (row) => (row[1] === null ? "–" : count(row[1])) },
        share("Recall", 2, true, "Share of the class's photographs that were recognised"),
        share("Precision", 3, true, "Share of what was taken for the class that is of it"),
        share("F1", 4, false), share("Average precision", 5, false), share("Threshold", 6, false),
      ].filter((column, i) => i < 2 || classes.some((row) => row[i] !== null));
      inside.push(el("div", { class: "table-tools" }, el("label", {}, "Search ", search), found),
        el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": `Classes, ${name}` }, table), more);
      const rows = [...classes].sort((a, b) => (a[2] ?? 2) - (b[2] ?? 2));
      camcli.sortedTable(table, columns, { rows, search, found, more, part: n ? 10 : 20,
        name: ([own]) => own, what: "classes" });
    }
    if (confused.length) {
      inside.push(camcli.details("Most often mistaken",
        el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": `Mistaken, ${name}` },
          camcli.confusedPairs(confused))));
    }
    return el("section", { class: "measured" }, ...inside);
  };

  const shownOf = (part) => {
    const all = [el("p", { class: "lead" }, "Trained into ", el("code", { text: shown(part.folder) }),
      part.status === "finished" ? "." : `; the training is not finished (${shown(part.status) || "stopped"}).`)];
    if (part.same === false) {
      all.push(el("p", { class: "note", text: "The checkpoint in this folder is not the one that the run used." }));
    } else if (part.same === null) {
      all.push(el("p", { class: "note", text: "The checkpoint is not there any more, so nobody can tell "
        + "whether this is the training of the run's network." }));
    }
    if (part.learnt) all.push(el("p", { class: "note", text: shown(part.learnt.told) }));
    if (part.epochs.length > 1) all.push(curves(part.epochs));
    all.push(...part.splits.map(split));
    if (!part.splits.length && part.status === "finished") {
      all.push(el("p", { class: "hint", text: "No photographs were held out, so nothing tells how good it is." }));
    }
    if ((part.copies || []).length) all.push(copies(part.copies));
    if ((part.sizes || []).length > 1) all.push(sizes(part.sizes));
    if ((part.tried || []).length) all.push(camcli.triedTable(part.tried));
    all.push(el("section", { class: "measured" }, el("h3", { text: "How" }), camcli.factList(part.facts),
      part.notes.length ? el("ul", { class: "hint" }, ...part.notes.map((text) => el("li", { text: shown(text) }))) : null,
      part.epochs.length ? camcli.details("Numbers of each epoch", epochTable(part.epochs)) : null,
      camcli.details("All settings", camcli.factList(part.settings))));
    if (part.commands.length) {
      all.push(el("section", { class: "measured" }, el("h3", { text: "What next" }),
        ...part.commands.map(([words, text]) => el("p", {}, `${words}: `, camcli.command(text)))));
    }
    return all;
  };

  camcli.tabs.training = async () => {
    const body = byId("training-body");
    if (!camcli.hasPart("training")) {
      body.replaceChildren(camcli.nothingYet("How the network was trained is not known here: it was not "
        + "made by camcli train, or its folder has moved. If it was, say where:",
      `${camcli.settings.commands.report} --training DIR`));
      return;
    }
    body.replaceChildren(el("p", { class: "hint", text: "Loading…" }));
    body.replaceChildren(...shownOf(await camcli.loadPart("training")));
  };
})();
