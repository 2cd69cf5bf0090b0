// The tab of what camcli evaluate measured, and of how much heat lies on the objects.
"use strict";

(() => {
  const { el, byId, count, shown, tableHead, meter } = camcli;

  // What people call the metrics; the others keep their names.
  const WORDS = {
    top1: "accuracy", top5: "right class in the first five", mean_ap: "mean average precision",
    share_confident: "share of confident ones", top1_confident: "accuracy of these",
    auc: "area under ROC", exact: "all labels right", map: "mean average precision",
    f1_micro: "F1, all labels together", f1_macro: "F1, mean of labels",
    maxboxacc: "box found (MaxBoxAcc)", maxboxacc_v2: "box found, mean (V2)",
    "maxboxacc_v2@30": "box found at IoU 0.3", "maxboxacc_v2@50": "box found at IoU 0.5",
    "maxboxacc_v2@70": "box found at IoU 0.7", top1_loc_error: "wrong class or box",
    top5_loc_error: "the same, first five", pointing: "maximum on the object",
    energy: "heat on the object", kl: "distance to the mask (KL)",
    correlation: "correlation with the mask", pxap: "pixel precision (PxAP)",
    pixel_auc: "pixel AUC", iou: "best IoU", tpr: "object found", fpr: "background taken for it",
    grid_2x2: "right cell of 2×2", grid_3x3: "right cell of 3×3", deletion: "left after deletion",
    insertion: "reached by insertion", road: "ROAD", average_drop: "average drop",
    average_increase: "average increase", infidelity: "infidelity",
    max_sensitivity: "max-sensitivity",
    sds: "patches ranked as the network does (SDS)",
    idsds: "the same, used to missing patches (IDSDS)",
    ffid_plus: "lost without hot patches (F-Fid+)", ffid_minus: "lost without cold ones (F-Fid−)",
    rfid_plus: "lost without hot patches (R-Fid+)", rfid_minus: "lost without cold ones (R-Fid−)",
    coherency: "same map of what it shows", adcc: "ADCC", arcc: "ARCC",
    sparseness: "sparseness (Gini)", complexity: "complexity (entropy)",
    box_iou: "IoU of the box as written", box_acc: "box as written, mean",
    "box_acc@30": "box as written at IoU 0.3", "box_acc@50": "box as written at IoU 0.5",
    "box_acc@70": "box as written at IoU 0.7",
    csdc: "parts that suffice (CSDC)", pc: "kept by important parts (PC)",
    dc: "lost without them (DC)", distractibility: "no heat on what does nothing (D)",
    completeness: "completeness", single_deletion: "parts in order of need (SD)",
    target_sensitivity: "tells classes apart (TS)", parts_mean: "mean of these",
    background_independence: "network needs no background",
  };
  // Of so few classes the right one is always among the first five.
  camcli.tellsNothing = (metric) => metric === "top5" && camcli.settings.classes.length <= 5;
  const wordsOf = (metric) => camcli.own(WORDS, metric) || shown(metric);
  // What rounds to 0 has no sign.
  const told = (number, digits) =>
    (Math.round(number * 10 ** digits) / 10 ** digits || 0).toFixed(digits);
  const value = (number) => (number === null ? "–" : told(number, 3));

  const place = (element, low, high, [least, most]) => {
    const at = (v) => (most > least ? (100 * (v - least)) / (most - least) : 0);
    element.style.left = `${at(low)}%`;
    if (high !== null) element.style.width = `${Math.max(0, at(high) - at(low))}%`;
    return element;
  };

  // A number, its interval, and both on a line from the least to the most of its column.
  const cell = (found, best, span) => {
    if (!found) return el("td", { class: "number hint", text: "–" });
    const [number, low, high] = found;
    const line = el("span", { class: "dots", "aria-hidden": "true" });
    if (high !== undefined) line.append(place(el("span", { class: "whisker" }), low, high, span));
    line.append(place(el("span", { class: "dot" }), number, null, span));
    return el("td", { class: "number" },
      el(number === best ? "strong" : "span", { text: value(number) }),
      high === undefined ? "" : el("span", { class: "hint", text: ` ${told(low, 2)}${told(low, 2) < 0 ? " to " : "–"}${told(high, 2)}` }),
      line);
  };

  const spanOf = (rows, column) => {
    const all = rows.flatMap(([, , cells]) => cells[column] || []);
    const most = Math.max(...all, 0), least = Math.min(...all, 0);
    return [least, most <= 1 && most > 0.2 ? 1 : most];
  };

  const scrolled = (label, ...inside) =>
    el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": label }, ...inside);

  // A table without the columns that tell nothing.
  const telling = ({ metrics, best, rows, ...rest }) => {
    const kept = metrics.map((_, n) => n).filter((n) => !camcli.tellsNothing(metrics[n][0]));
    const of = (columns) => kept.map((n) => columns[n]);
    return { ...rest, metrics: of(metrics), best: of(best),
      rows: rows.map(([name, kind, cells]) => [name, kind, of(cells)]) };
  };

  const table = (whole) => {
    const { title, hint, metrics, best, rows, sentence } = telling(whole);
    const spans = metrics.map((_, n) => spanOf(rows, n));
    const heads = metrics.map(([metric, lower]) => el("th", { scope: "col", title: metric },
      wordsOf(metric), el("span", { class: "hint better", text: lower ? "less is better" : "" })));
    return el("section", { class: "measured" },
      el("h3", { text: shown(title) }),
      hint ? el("p", { class: "hint", text: hint }) : null,
      scrolled(title, el("table", { class: "list metrics" },
        el("thead", {}, el("tr", {}, el("td"), ...heads)),
        el("tbody", {}, ...rows.map(([name, kind, cells]) => el("tr", { class: kind },
          el("th", { scope: "row" }, el("span", { class: "row-name", text: shown(name) }),
            kind === "control" ? el("span", { class: "pill", text: "control" }) : null),
          ...cells.map((found, n) => cell(found, kind === "control" ? null : best[n], spans[n]))))))),
      sentence ? el("p", { class: "sentence", text: shown(sentence) }) : null);
  };

  // A class's name, which leads to its photographs where the run knows it.
  camcli.confusedPairs = (pairs) => {
    const { classes } = camcli.settings;
    const most = Math.max(1, ...pairs.map(([, , n]) => n));
    return el("table", { class: "list" }, tableHead("True class", "Taken for", "Photographs"),
      el("tbody", {}, ...pairs.map(([a, b, n, share]) => el("tr", {},
        el("td", { text: camcli.isolated(shown(a)) }),
        el("td", {}, classes.includes(a) && classes.includes(b)
          ? el("a", { href: camcli.linkTo({ true: a, pred: b }), text: camcli.isolated(shown(b)) })
          : camcli.isolated(shown(b))),
        el("td", { class: "number" }, meter(n / most, "w"), count(n),
          share ? el("span", { class: "hint", text: ` ${camcli.fixed(100 * share, 0)}% of the class` }) : "")))));
  };

  const prediction = ({ network, numbers, pairs, labels }) => {
    const list = el("dl", { class: "facts" });
    for (const [key, words, number] of numbers.filter(([key]) => !camcli.tellsNothing(key))) {
      list.append(el("dt", { text: words }), el("dd", { text:
        key === "count" || key === "unlabelled" ? count(number) : value(number) }));
    }
    const inside = [list];
    if (pairs.length) {
      inside.push(el("h4", { text: "Most often mistaken" }),
        scrolled("Most often mistaken", camcli.confusedPairs(pairs)));
    }
    if (labels.length) {
      inside.push(scrolled("Labels", el("table", { class: "list" },
        tableHead("Label", "Photographs", "Average precision", "F1", "Threshold"),
        el("tbody", {}, ...labels.map(([name, n, ...rest]) => el("tr", {},
          el("th", { scope: "row", text: camcli.isolated(shown(name)) }),
          el("td", { class: "number", text: n === null ? "–" : count(n) }),
          ...rest.map((each) => el("td", { class: "number", text: value(each) }))))))));
    }
    return el("section", { class: "measured" },
      el("h3", { text: `Predictions of ${shown(network)}` }), ...inside);
  };

  camcli.factList = (pairs) => {
    const list = el("dl", { class: "facts" });
    for (const [name, text] of pairs) list.append(el("dt", { text: name }), el("dd", { text: shown(text) }));
    return list;
  };
  camcli.details = (title, ...inside) =>
    el("details", { class: "folded" }, el("summary", { text: title }), ...inside);

  // What a tab says that has nothing to show: what it would, and the commands.
  camcli.nothingYet = (words, ...commands) => el("div", { class: "nothing-yet" },
    el("p", { text: words }), ...commands.filter(Boolean).map((text) => el("p", {}, camcli.command(text))));

  const onObjects = ({ count: n, mean, bins }) => {
    const judged = [...bins.r, ...bins.w].some(Boolean);
    return el("section", { class: "measured" },
      el("h3", { text: "Heat on the object" }),
      el("p", { class: "hint" },
        `On average ${camcli.fixed(100 * mean, 1)}% of the heat lies in the boxes or masks of ${count(n)} photographs, for the class that each map explains. `,
        el("a", { href: camcli.linkTo({ sort: "off" }), text: "Those with the least first" }), "."),
      el("figure", { class: "panel object-bars" },
        judged ? el("figcaption", {}, el("span", { class: "legend" },
          el("i", { class: "r" }), "right", el("i", { class: "w" }), "wrong",
          ...(bins.u.some(Boolean) ? [el("i"), "no label"] : []))) : null,
        camcli.objectBars({ bins })));
  };

  const found = (part) => {
    const all = [
      el("p", { class: "lead" }, `${count(part.photographs)} photographs of ${shown(part.data)}${part.network ? `, explained by ${shown(part.network)}` : ""}; all of it is in `,
        el("code", { text: shown(part.folder) }), "."),
    ];
    if (part.same === false || part.same === null) {
      all.push(el("p", { class: "note", text: part.same === false
        ? "The network of this run is not among those that were evaluated."
        : "Nobody recorded whether this is the network of the run." }));
    }
    const missing = [...part.partial || [], ...part.lost || []];
    if (missing.length) {
      all.push(el("div", { class: "note" }, el("strong", { text: "Not everything was measured." }),
        el("ul", {}, ...missing.map((text) => el("li", { text: shown(text) })))));
    }
    if (part.verdicts.length) {
      all.push(el("ul", { class: "verdict-list" },
        ...part.verdicts.map((text) => el("li", { text: shown(text) }))));
    }
    all.push(...part.tables.map(table), ...part.predictions.map(prediction), ...part.sanity.map(table));
    if (part.unreadable.length) {
      all.push(camcli.details(`Could not be read: ${count(part.unreadable.length)}`,
        el("ul", {}, ...part.unreadable.map((text) => el("li", { class: "path", text: shown(text) })))));
    }
    if (part.settings.length) all.push(camcli.details("Settings", camcli.factList(part.settings)));
    if (part.others && part.others.length) {
      all.push(camcli.details("Other evaluations of these photographs",
        el("ul", {}, ...part.others.map((text) => el("li", {},
          camcli.command(`${camcli.settings.commands.report} --evaluation ${text}`))))));
    }
    return all;
  };

  camcli.tabs.evaluation = async () => {
    const body = byId("evaluation-body");
    const { summaries: [summary], commands } = camcli.settings;
    const first = summary.onObject ? onObjects(summary.onObject)
      : camcli.nothingYet("Boxes or masks, drawn by hand, tell how much of the heat lies on the object:",
        commands.boxes);
    if (!camcli.hasPart("evaluation")) {
      const empty = camcli.nothingYet("Nobody has measured the maps or the predictions of this run's "
        + "network yet: accuracy with intervals, whether the heat hits the object, and whether it "
        + "tells the truth beside controls that know nothing.", commands.evaluation, commands.report);
      body.replaceChildren(...(summary.onObject ? [first, empty] : [empty, first]));
      return;
    }
    body.replaceChildren(el("p", { class: "hint", text: "Loading…" }));
    const part = await camcli.loadPart("evaluation");
    body.replaceChildren(...(summary.onObject ? [first, ...found(part)] : [...found(part), first]));
  };
})();
