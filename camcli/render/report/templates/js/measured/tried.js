// What a search compared before the training: looks and heads, and what each would have reached.
"use strict";

(() => {
  const { el, count, shown } = camcli;

  const look = (one) => [shown(one.backbone), one.input_size && `${one.input_size} pixels`, one.fit]
    .filter(Boolean).join(", ");
  const decimal = (value) => (value === null ? "–" : value.toFixed(4));
  // A long list of statistics may be broken behind each of them.
  const broken = (text) => shown(text).replaceAll("+", "+\u200b");
  const numeric = (title, key, cell, hint) => ({ title, kind: "number", hint,
    value: (one) => one[key], cell: (one) => cell(one[key]) });

  // tried: as jobs/beside/training.py gives them, the one that was taken first.
  camcli.triedTable = (tried) => {
    const most = Math.max(...tried.map((one) => one.images || 0));
    const columns = [
      { title: "Look", head: true, value: look, cell: (one) => (one.won
        ? [el("strong", { text: look(one) }), " (taken)"] : look(one)) },
      { title: "Statistics of the maps", value: (one) => one.pooling, cell: (one) => broken(one.pooling) },
      ...(tried.some((one) => one.views)
        ? [{ title: "Views", value: (one) => one.views, cell: (one) => shown(one.views || "–") }] : []),
      ...(tried.some((one) => one.head)
        ? [{ title: "Head", value: (one) => one.head, cell: (one) => shown(one.head) }] : []),
      numeric("L2", "l2", (value) => (value === null ? "–" : String(Number(value.toPrecision(2))))),
      numeric("Photographs", "images", (value) => (value === null ? "–" : count(value)),
        "Of the training photographs: few at first, all of them for the best ones"),
      numeric("Log-loss", "log_loss", decimal, "On photographs that were left out in turn"),
      numeric("Accuracy", "accuracy", (value) => (value === null ? "–" : `${camcli.fixed(100 * value, 1)}%`),
        "On photographs that were left out in turn"),
      numeric("Seconds", "seconds", (value) => (value === null ? "–" : camcli.fixed(value, 1))),
    ];
    const table = el("table", { class: "list tried" });
    const more = el("button", { type: "button", class: "plain", hidden: true });
    camcli.sortedTable(table, columns, { rows: tried, more, part: 10, what: "candidates" });
    return el("section", { class: "measured" }, el("h3", { text: `What the search tried (${count(tried.length)})` }),
      el("p", { class: "hint", text: "Judged by cross-validation within the training photographs; "
        + `held-out ones were not looked at. Only those of ${count(most)} photographs can be compared with the one `
        + "that was taken: the simplest within one standard error of the best." }),
      el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "What the search tried" }, table), more);
  };
})();
