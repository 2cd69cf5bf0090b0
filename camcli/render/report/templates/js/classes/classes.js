// The table of classes: how each fares, sorted and searched.
"use strict";

(() => {
  const { el, byId, count, meter, shareOf } = camcli;
  const name = (number) => camcli.settings.classes[number];

  const meanMap = (text) => {
    const map = camcli.parseMap(text);
    if (!map) return el("span", { class: "hint", text: "–" });
    const canvas = el("canvas", { class: "mean", role: "img", "aria-label": "mean heatmap" });
    camcli.paintMap(canvas, map, 56);
    return canvas;
  };

  const RECALL = "Share of the class's photographs that were recognised";
  const PRECISION = "Share of what was taken for the class that is of it";
  const link = (changes, n) => (n ? el("a", { href: camcli.linkTo(changes), text: count(n) }) : "0");
  const ratio = (part, whole) => (whole ? part / whole : null);
  const bar = (part, whole) => (whole ? meter(part / whole, "r") : null);
  const classColumn = { title: "Class", head: true, value: ([c]) => camcli.className(c),
    cell: ([c]) => camcli.className(c) };

  // Of values: how often each was explained, and how it is spread.
  const valueColumns = () => {
    const { summaries, runs } = camcli.settings;
    const rows = summaries.flatMap((summary, side) =>
      summary.classes.map((row) => [...row, side]));
    const spread = (title, n) => ({ title, kind: "number", down: true,
      value: (row) => (row[7] ? row[7][n] : null),
      cell: (row) => (row[7] ? camcli.number(row[7][n]) : "–") });
    return [[
      { ...classColumn, title: "Value" },
      ...(summaries.length > 1 ? [{ title: "Run", value: (row) => runs[row[8]].name,
        cell: (row) => camcli.shown(runs[row[8]].name) }] : []),
      { title: "Images", kind: "number", down: true, value: (row) => row[3],
        cell: (row) => count(row[3]) },
      spread("Least", 0), spread("Mean", 1), spread("Largest", 2),
      { title: "Mean heatmap", fixed: true, cell: (row) => meanMap(row[6]) },
    ], rows];
  };

  // [class, labelled, right, predicted, judged, mean probability, mean map, spread]
  const single = (summary) => {
    const labelled = summary.classes.some(([, n]) => n);
    const rows = [...summary.classes].sort((x, y) => (labelled
      ? (x[1] ? x[2] / x[1] : 2) - (y[1] ? y[2] / y[1] : 2) || y[1] - x[1] : y[3] - x[3]));
    const known = [
      { title: "Photographs", kind: "number", down: true, hint: "Of the class, by their labels",
        value: ([, n]) => n, cell: ([c, n]) => link({ true: name(c) }, n) },
      { title: "Recall", kind: "number", hint: RECALL, value: ([, n, right]) => ratio(right, n),
        cell: ([, n, right]) => [bar(right, n), shareOf(right, n)] },
      { title: "Precision", kind: "number", hint: PRECISION,
        value: ([, , right, , judged]) => ratio(right, judged),
        cell: ([, , right, , judged]) => [bar(right, judged), shareOf(right, judged)] },
    ];
    return [[
      classColumn,
      ...(labelled ? known : []),
      { title: "Taken for it", kind: "number", down: true, hint: "Photographs of which it was predicted",
        value: ([, , , predicted]) => predicted,
        cell: ([c, , , predicted]) => link({ pred: name(c) }, predicted) },
      { title: "Mean confidence", kind: "number", down: true,
        value: ([, , , , , prob]) => prob,
        cell: ([, , , , , prob]) => (prob === null ? "–" : shareOf(prob, 1)) },
      { title: "Mean heatmap", fixed: true, cell: ([, , , , , , map]) => meanMap(map) },
    ], rows];
  };

  const pair = (summary, other) => {
    const labelled = summary.classes.some(([, n]) => n);
    const before = new Map(summary.classes.map((row) => [row[0], row]));
    const after = new Map(other.classes.map((row) => [row[0], row]));
    const none = [0, 0, 0, 0, 0, null, ""];
    const rows = [...new Set([...before.keys(), ...after.keys()])].map((c) =>
      [c, before.get(c) || none, after.get(c) || none]);
    const change = ([, a, b]) => (a[1] && b[1] ? b[2] / b[1] - a[2] / a[1] : null);
    const most = ([, a, b]) => Math.max(a[1], b[1]);
    rows.sort((x, y) => Math.abs(change(y) || 0) - Math.abs(change(x) || 0) || y[1][1] - x[1][1]
      || y[1][3] - x[1][3]);
    const [one, two] = camcli.settings.runs.map((run) => camcli.shown(run.name));
    const shares = (word, hint, part, whole) => [[one, 1], [two, 2]].map(([run, side]) => ({
      title: side === 1 ? `${word} in ${run}` : `in ${run}`, kind: "number", hint,
      value: (row) => ratio(row[side][part], row[side][whole]),
      cell: (row) => shareOf(row[side][part], row[side][whole]),
    }));
    const counts = [[`Predicted by ${one}`, 1], [`by ${two}`, 2]].map(([title, side]) => ({
      title, kind: "number", down: true, value: (row) => row[side][3],
      cell: (row) => count(row[side][3]),
    }));
    const maps = [[`Mean heatmap of ${one}`, 1], [`of ${two}`, 2]].map(([title, side]) => ({
      title, fixed: true, cell: (row) => meanMap(row[side][6]),
    }));
    const known = [
      { title: "Photographs", kind: "number", down: true, value: most,
        cell: (row) => link({ true: name(row[0]) }, most(row)) },
      ...shares("Recall", RECALL, 2, 1),
      { title: "Change", kind: "number", value: change, hint: "Of the recall, in points", cell: (row) => {
        const by = change(row);
        if (by === null) return "–";
        const points = Math.round(100 * by);
        const sign = points > 0 ? "+" : points < 0 ? "−" : "±";
        return el("span", { class: points > 0 ? "gain" : points < 0 ? "loss" : "",
          text: `${sign}${Math.abs(points)}` });
      } },
      ...shares("Precision", PRECISION, 2, 4),
    ];
    return [[classColumn, ...(labelled ? known : counts), ...maps], rows];
  };

  camcli.tabs.classes = () => {
    const { values, summaries: [summary, other] } = camcli.settings;
    const [columns, rows] = values ? valueColumns() : other ? pair(summary, other) : single(summary);
    camcli.sortedTable(byId("class-table"), columns, {
      rows, name: ([c]) => camcli.className(c), search: byId("class-search"),
      found: byId("classes-found"), more: byId("more-classes"), what: values ? "values" : "classes",
    });
  };
})();
