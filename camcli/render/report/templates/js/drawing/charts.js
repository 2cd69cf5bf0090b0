// Histograms and confusions; whatever can be clicked is a link to the gallery.
"use strict";

(() => {
  const { el, svg, byId, count, meter, tableHead: head } = camcli;
  const name = (number) => camcli.settings.classes[number];

  // Wrong is hatched, and told from right without colours. The bars are stretched, the lines of the
  // hatching are not.
  let hatched = 0;
  const hatch = (chart, width, height) => {
    const wrong = chart.querySelectorAll(".part.w");
    if (!wrong.length) return;
    const id = `hatch-${hatched++}`;
    const pattern = svg("pattern", { id, class: "hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse" },
      svg("rect", { width: 5, height: 5 }), svg("path", { d: "M0 4H5" }));
    chart.prepend(svg("defs", {}, pattern));
    for (const part of wrong) part.style.fill = `url("#${id}")`;
    const fit = () => {
      const { width: w, height: h } = chart.getBoundingClientRect();
      if (w && h) pattern.setAttribute("patternTransform", `scale(${width / w} ${height / h}) rotate(-45)`);
    };
    new ResizeObserver(fit).observe(chart);
  };

  // Bars on a common scale. bars: [{parts: [[kind, n], ...], label, href}]
  const bars = (found, { low, high, caption }) => {
    const width = 400, base = 100;
    const most = Math.max(1, ...found.map((bar) => bar.parts.reduce((sum, [, n]) => sum + n, 0)));
    const chart = svg("svg", { viewBox: `0 0 ${width} ${base}`, preserveAspectRatio: "none",
      class: "bars", role: "group", "aria-label": caption });
    const step = width / found.length;
    found.forEach((bar, i) => {
      const total = bar.parts.reduce((sum, [, n]) => sum + n, 0);
      const link = svg("a", { href: bar.href, "aria-label": bar.label });
      if (!total) link.setAttribute("tabindex", "-1");
      link.append(svg("title", {}, bar.label));
      link.append(svg("rect", { x: i * step, y: 0, width: step, height: base, class: "catch" }));
      let y = base;
      for (const [kind, n] of bar.parts) {
        if (!n) continue;
        // A bar of one image is still to be seen.
        const tall = Math.max(1.5, ((base - 6) * n) / most);
        y -= tall;
        link.append(svg("rect",
          { x: i * step + 1, y, width: step - 2, height: tall, class: `part ${kind}` }));
      }
      chart.append(link);
    });
    hatch(chart, width, base);
    return el("div", { class: "chart" }, chart, el("div", { class: "ends hint" },
      el("span", { text: low }), el("span", { text: high })));
  };
  camcli.bars = bars;

  const values = ({ bins, edges }) => bars(bins.map((n, i) => ({
    parts: [["u", n]],
    label: `${camcli.number(edges[i])} to ${camcli.number(edges[i + 1])}: ${count(n)}`,
    href: camcli.linkTo({ min: edges[i], max: edges[i + 1] }),
  })), { low: camcli.number(edges[0]), high: camcli.number(edges[edges.length - 1]),
    caption: "Images by their value" });

  const histogram = (summary) => {
    const { r, w, u } = summary.bins;
    const step = 100 / r.length;
    const sure = camcli.settings.several ? "" : " sure";
    const found = r.map((_, i) => {
      const min = Math.round(i * step), max = Math.round((i + 1) * step);
      const words = [[r[i], "right"], [w[i], "wrong"], [u[i], "without a usable label"]]
        .filter(([n]) => n).map(([n, word]) => `${count(n)} ${word}`);
      return {
        parts: [["r", r[i]], ["w", w[i]], ["u", u[i]]],
        label: `${min} to ${max}%${sure}: ${words.join(", ") || "none"}`,
        href: camcli.linkTo({ min, max }),
      };
    });
    return bars(found, { low: `0%${sure}`, high: `100%${sure}`,
      caption: "Images by the probability of the prediction" });
  };

  const similarities = (bins) => bars(bins.map((n, i) => ({
    parts: [["u", n]],
    label: `similarity ${(i / bins.length).toFixed(2)} to ${((i + 1) / bins.length).toFixed(2)}: ${count(n)}`,
    href: camcli.linkTo({ like: i / bins.length, unlike: (i + 1) / bins.length }),
  })), { low: "different places", high: "the same places",
    caption: "Images by the similarity of the two heatmaps" });

  const pairs = (found) => {
    if (!found.length) {
      return [el("tbody", {}, el("tr", {}, el("td", { class: "hint", text: "None: no image was taken for another class." })))];
    }
    const most = Math.max(1, ...found.map(([, , n]) => n));
    return [head("True class", "Taken for", "Images"), el("tbody", {}, ...found.map(([a, b, n]) =>
      el("tr", {}, el("td", { text: camcli.className(a) }),
        el("td", {}, el("a", {
          href: camcli.pairLink(a, b),
          text: camcli.className(b),
        })),
        el("td", { class: "number" }, meter(n / most, "w"), count(n)))))];
  };

  // Predictions that changed from the first run to the second, most frequent first.
  camcli.changedPairs = () => {
    const [a, b] = camcli.columns.sides;
    const found = new Map();
    for (let i = 0; i < camcli.loaded; i++) {
      if (a.pred[i] < 0 || b.pred[i] < 0 || a.pred[i] === b.pred[i]) continue;
      const key = `${a.pred[i]},${b.pred[i]}`;
      found.set(key, (found.get(key) || 0) + 1);
    }
    return [...found].sort((x, y) => y[1] - x[1]).slice(0, 40)
      .map(([key, n]) => [...key.split(",").map(Number), n]);
  };

  camcli.drawChanges = () => {
    if (!byId("no-pairs")) return;
    const found = camcli.changedPairs();
    byId("no-pairs").hidden = found.length > 0;
    byId("pairs").hidden = !found.length;
    const most = Math.max(1, ...found.map(([, , n]) => n));
    byId("pairs").replaceChildren(
      head(...camcli.settings.runs.map((run) => camcli.shown(run.name)), "Images"),
      el("tbody", {}, ...found.map(([a, b, n]) => el("tr", {},
        el("td", { text: camcli.className(a) }),
        el("td", {}, el("a", { href: camcli.linkTo({ from: name(a), to: name(b) }),
          text: camcli.className(b) })),
        el("td", { class: "number" }, meter(n / most, "u"), count(n))))));
  };

  // Rows and columns by name, as people look classes up; numbers in names count as numbers.
  const inOrder = ({ classes, cells, all }) => {
    const order = classes.map((_, i) => i).sort((i, j) => camcli.className(classes[i])
      .localeCompare(camcli.className(classes[j]), "en", { numeric: true }));
    return {
      classes: order.map((i) => classes[i]), cells: order.map((i) => order.map((j) => cells[i][j])), all,
    };
  };

  const matrix = (unordered) => {
    const { classes, cells, all } = inOrder(unordered);
    byId("matrix-hint").textContent = all
      ? "Rows are true classes, columns what they are taken for."
      : `The ${classes.length} classes that are most often confused. Rows are true classes, `
        + "columns what they are taken for.";
    byId("matrix").classList.toggle("few", classes.length <= 8);
    const most = Math.max(1, ...cells.flatMap((line, i) => line.filter((_, j) => i !== j)));
    const tops = classes.map((c) => el("th", { scope: "col" },
      el("span", { text: camcli.className(c), title: camcli.className(c) })));
    const lines = classes.map((a, i) => el("tr", {},
      el("th", { scope: "row", text: camcli.className(a), title: camcli.className(a) }),
      ...classes.map((b, j) => {
        const n = cells[i][j];
        if (!n) return el("td");
        const cell = el("td", { class: i === j ? "r" : "w" }, el("a", {
          href: i === j ? camcli.linkTo({ true: name(a), pred: name(b) }) : camcli.pairLink(a, b),
          text: count(n),
          "aria-label": `${camcli.className(a)} taken for ${camcli.className(b)}: ${count(n)}`,
        }));
        const total = cells[i].reduce((sum, value) => sum + value, 0);
        const strength = i === j ? n / total : 0.25 + 0.75 * (n / most);
        cell.style.setProperty("--strength", strength.toFixed(2));
        return cell;
      })));
    return [el("thead", {}, el("tr", {}, el("td"), ...tops)), el("tbody", {}, ...lines)];
  };

  // Drawn when they are first looked at.
  Object.assign(camcli.tabs, {
    mistakes: () => {
      if (!byId("pairs")) return; // labels do not become each other; their table is drawn already
      if (byId("no-pairs")) {
        camcli.drawChanges();
        return;
      }
      const [summary] = camcli.settings.summaries;
      byId("pairs").append(...pairs(summary.pairs));
      byId("matrix").append(...matrix(summary.matrix));
    },
  });
  camcli.drawTab = (tab) => {
    const draw = camcli.tabs[tab];
    delete camcli.tabs[tab];
    if (draw) draw();
  };

  camcli.drawOverview = () => {
    const { summaries, similarities: bins } = camcli.settings;
    if (byId("histogram")) byId("histogram").append(histogram(summaries[0]));
    if (byId("values")) byId("values").append(values(summaries[0].values));
    if (byId("similarities")) byId("similarities").append(similarities(bins));
  };
})();
