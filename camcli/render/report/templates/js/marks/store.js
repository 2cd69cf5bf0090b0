// The marks: what a person says of photographs. They are kept in the browser, a set for each run,
// until they are exported; every change can be undone.
"use strict";

(() => {
  const { run, sources } = camcli.settings.marking;
  const KEY = `camcli-marks:${run}`;
  const { WORDS } = camcli.marksFile;
  const DEPTH = 1000; // changes that can be undone
  const marks = new Map(); // path -> {mark, label, note, source}
  const undone = [];
  const listeners = [];
  let keeps = true;

  // Anything may stand there: other versions, other programs.
  const restore = () => {
    marks.clear();
    let kept = null;
    try { kept = JSON.parse(localStorage.getItem(KEY) || "null"); } catch { keeps = keeps && !!kept; }
    for (const row of Array.isArray(kept?.marks) ? kept.marks : []) {
      if (!Array.isArray(row) || !row.every((cell) => typeof cell === "string")) continue;
      const [path, mark, label = "", note = "", source = ""] = row;
      if (WORDS.includes(mark)) marks.set(path, { mark, label, note, source });
    }
  };

  const keep = () => {
    try {
      if (!marks.size) localStorage.removeItem(KEY);
      else {
        const rows = [...marks].map(([path, { mark, label, note, source }]) =>
          [path, mark, label, note, source]);
        localStorage.setItem(KEY, JSON.stringify({ version: 1, marks: rows }));
      }
      keeps = true;
    } catch { // full, or forbidden
      keeps = false;
    }
  };

  const tell = () => { for (const listener of listeners) listener(); };

  const set = (path, mark) => (mark ? marks.set(path, mark) : marks.delete(path));

  camcli.marks = {
    get: (path) => marks.get(path),
    get size() { return marks.size; },
    // Whether this browser keeps them when the page is closed.
    get kept() { return keeps; },
    all: () => [...marks].map(([path, mark]) => ({ path, ...mark })),
    counts: () => {
      const counts = { drop: 0, relabel: 0, note: 0, mark: 0 };
      for (const { mark } of marks.values()) counts[mark]++;
      return counts;
    },
    onChange: (listener) => listeners.push(listener),

    // Change some at once: a map of path -> {mark, label, note} or null, to be undone as one.
    change: (changes) => {
      const before = new Map();
      for (const [path, mark] of changes) {
        before.set(path, marks.get(path) || null);
        set(path, mark && { label: "", note: "", source: "", ...mark });
      }
      if (!before.size) return;
      undone.push(before);
      if (undone.length > DEPTH) undone.shift();
      keep();
      tell();
    },

    canUndo: () => undone.length > 0,
    // Take the last change back; how many photographs it was about.
    undo: () => {
      const before = undone.pop();
      if (!before) return 0;
      for (const [path, mark] of before) set(path, mark);
      keep();
      tell();
      return before.size;
    },

    // The folder that a photograph's path is relative to: of two runs, that which has it.
    sourceOf: (id) => {
      const { sides } = camcli.columns;
      const missing = sides.length > 1 && sides[0].verdict[id] === camcli.code("m");
      return sources[missing ? 1 : 0] || "";
    },
  };

  restore();
  // The same page in another tab of the browser.
  addEventListener("storage", (event) => {
    if (event.key !== KEY && event.key !== null) return;
    restore();
    undone.length = 0;
    tell();
  });
  addEventListener("beforeunload", (event) => {
    if (!keeps && marks.size) event.preventDefault();
  });

  // Which rows are shown, by what is marked: #marked=drop.
  const TESTS = {
    any: (mark) => Boolean(mark),
    none: (mark) => !mark,
    drop: (mark) => mark?.mark === "drop",
    relabel: (mark) => mark?.mark === "relabel",
    note: (mark) => Boolean(mark && (mark.mark === "note" || mark.note)),
    mark: (mark) => mark?.mark === "mark",
  };
  const SAYS = { any: "marked", none: "not marked", drop: "to drop", relabel: "relabelled",
    note: "with a note", mark: "ticked" };
  camcli.filters.push({
    keys: ["marked"],
    test: (state) => {
      const test = camcli.own(TESTS, state.get("marked"));
      return test ? (i) => test(marks.get(camcli.columns.path[i])) : null;
    },
    says: (state) => camcli.own(SAYS, state.get("marked")) || null,
  });
})();
