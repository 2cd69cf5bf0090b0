// Marking: boxes on cards, keys, the bar below, the large view, and what is taken away.
"use strict";

(() => {
  const { el, byId, count, marks } = camcli;
  const list = byId("gallery");
  const bar = byId("marks");
  const status = byId("marks-said");
  const dialog = byId("mark-dialog");
  const view = byId("view");
  let viewed = -1; // the row in the large view
  let used = false; // the bar stays once it was there: it says what was done
  let last = -1; // the row that was marked last, where a range begins

  const pathOf = (id) => camcli.columns.path[id];
  const photographs = (n) => `${count(n)} photograph${n === 1 ? "" : "s"}`;
  const say = (text) => { status.textContent = text; byId("marks-next").replaceChildren(); };

  const wordsOf = ({ mark, label, note }) => {
    const words = { drop: "✗ drop", relabel: `→ ${camcli.shown(label)}`, note: "✎ note", mark: "" };
    return words[mark] + (note && mark !== "note" ? " ✎" : "");
  };

  // ---- what is marked -------------------------------------------------------------------------

  // One mark for rows; those that all have it lose it. Notes stay.
  const put = (ids, mark, { label = "", note = null, toggle = true } = {}) => {
    if (!ids.length) return;
    const same = toggle && ids.every((id) => {
      const old = marks.get(pathOf(id));
      return old && old.mark === mark && old.label === label;
    });
    marks.change(ids.map((id) => {
      const old = marks.get(pathOf(id));
      const told = note === null ? old?.note || "" : note;
      if (same) return [pathOf(id), told ? { mark: "note", note: told } : null];
      return [pathOf(id), { mark, label, note: told }];
    }));
    last = ids[ids.length - 1];
    const done = { drop: "to drop", relabel: `relabelled to ${camcli.shown(label)}`,
      note: "with a note", mark: "ticked" };
    say(`${photographs(ids.length)} ${same ? "not " : ""}${done[mark]}. z undoes it.`);
  };

  // Tick, or take every mark off. All of them, if `on` is not said.
  const tick = (ids, on) => {
    const wanted = ids.filter((id) => Boolean(marks.get(pathOf(id))) !== on);
    marks.change(wanted.map((id) => [pathOf(id), on ? { mark: "mark" } : null]));
    say(`${photographs(wanted.length)} ${on ? "ticked" : "without a mark"}. z undoes it.`);
  };

  const ticked = () => {
    const found = [];
    for (let i = 0; i < camcli.loaded; i++) if (marks.get(pathOf(i))?.mark === "mark") found.push(i);
    return found;
  };

  // Rows from the one that was marked last to this one, as they are shown.
  const rangeTo = (id) => {
    const shown = camcli.selection();
    const from = shown.indexOf(last), to = shown.indexOf(id);
    if (from < 0 || to < 0) return [id];
    return [...shown.subarray(Math.min(from, to), Math.max(from, to) + 1)];
  };

  const undo = () => {
    const n = marks.undo();
    say(n ? `Undone: ${photographs(n)}.` : "There is nothing to undo.");
  };

  // ---- a new label, or a note -----------------------------------------------------------------

  let asked = null; // {ids, what}

  const suggestions = (ids) => {
    const found = new Map();
    const add = (n, weight) => { if (n >= 0) found.set(n, (found.get(n) || 0) + weight); };
    for (const id of ids.slice(0, 200)) {
      for (const { pred } of camcli.rowOf(id).sides) add(pred, 1);
      // What a check says comes first: the run's network may know a wrong label by heart.
      for (const { suggestion } of camcli.findings?.of(id) || []) {
        add(camcli.settings.classes.indexOf(suggestion), 1000);
      }
    }
    const isLabel = (n) => ids.every((id) => camcli.columns.label[id] === n);
    return [...found].filter(([n]) => !isLabel(n)).sort((a, b) => b[1] - a[1]).slice(0, 3)
      .map(([n]) => camcli.settings.classes[n]);
  };

  const ask = (ids, what) => {
    if (!ids.length) return;
    asked = { ids, what };
    const first = marks.get(pathOf(ids[0]));
    const whose = ids.length === 1 ? camcli.shown(pathOf(ids[0])) : photographs(ids.length);
    const relabels = what === "relabel";
    byId("mark-title").textContent = relabels ? "Which class is it?" : "A note";
    byId("mark-whose").textContent = whose;
    byId("mark-label-line").hidden = !relabels;
    const guesses = relabels ? suggestions(ids) : [];
    const label = byId("mark-label");
    label.value = (ids.length === 1 && first?.label) || guesses[0] || "";
    byId("mark-note").value = (ids.length === 1 && first?.note) || "";
    byId("mark-wrong").textContent = "";
    byId("mark-guesses").replaceChildren(...guesses.map((name) => {
      const button = el("button", { type: "button", class: "plain", text: camcli.shown(name) });
      button.addEventListener("click", () => { label.value = name; label.focus(); });
      return button;
    }));
    dialog.showModal();
    const field = relabels ? label : byId("mark-note");
    field.focus();
    field.select();
  };

  const answer = () => {
    const { ids, what } = asked;
    const note = byId("mark-note").value.trim();
    if (what === "relabel") {
      const label = byId("mark-label").value.trim();
      const known = camcli.settings.classes;
      const why = !label ? "Name a class: one of the list, or a new one."
        : ids.every((id) => known[camcli.columns.label[id]] === label)
          ? "That is what it is labelled already." : null;
      if (why) {
        byId("mark-wrong").textContent = why;
        byId("mark-label").focus();
        return;
      }
      put(ids, "relabel", { label, toggle: false, note: ids.length === 1 || note ? note : null });
    } else {
      marks.change(ids.map((id) => {
        const old = marks.get(pathOf(id));
        const bare = !old || old.mark === "note";
        return [pathOf(id), bare ? (note ? { mark: "note", note } : null) : { ...old, note }];
      }));
      last = ids[ids.length - 1];
      say(`A note on ${photographs(ids.length)}. z undoes it.`);
    }
    dialog.close();
  };
  byId("mark-form").addEventListener("submit", (event) => { event.preventDefault(); answer(); });
  byId("mark-cancel").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  // ---- cards and the large view ---------------------------------------------------------------

  const drawBox = (place) => {
    const mark = marks.get(place.dataset.path);
    place.className = `mark ${mark ? `is-marked is-${mark.mark}` : ""}`;
    place.querySelector("input").checked = Boolean(mark);
    const words = place.querySelector(".mark-words");
    words.textContent = mark ? wordsOf(mark) : "";
    words.title = mark?.note || "";
  };

  camcli.cardParts.push((row) => {
    const box = el("input", { type: "checkbox", tabIndex: -1,
      "aria-label": `Tick ${camcli.shown(row.path)}` });
    box.addEventListener("click", (event) => {
      const ids = event.shiftKey ? rangeTo(row.id) : [row.id];
      tick(ids, box.checked);
      last = row.id;
    });
    const place = el("div", { class: "mark" }, el("label", {}, box),
      el("span", { class: "mark-words" }));
    place.dataset.path = row.path;
    place.dataset.row = row.id;
    drawBox(place);
    return place;
  });

  const viewTools = byId("view-marks");
  const drawView = () => {
    if (viewed < 0) return;
    const mark = marks.get(pathOf(viewed));
    viewTools.querySelector("input").checked = Boolean(mark);
    for (const button of viewTools.querySelectorAll("[data-do]")) {
      button.setAttribute("aria-pressed", mark?.mark === button.dataset.do);
    }
    const words = mark ? [mark.mark === "relabel" ? `→ ${camcli.shown(mark.label)}` : "",
      mark.note].filter(Boolean).join(" · ") : "";
    byId("view-marked").textContent = words;
  };
  camcli.viewParts.push((row) => {
    viewed = row.id;
    drawView();
    return null;
  });
  viewTools.querySelector("input").addEventListener("click", (event) =>
    tick([viewed], event.target.checked));

  // What buttons and keys do with rows.
  const ACTIONS = {
    drop: (ids) => put(ids, "drop"),
    relabel: (ids) => ask(ids, "relabel"),
    note: (ids) => ask(ids, "note"),
  };
  if (camcli.settings.values) delete ACTIONS.relabel; // measurements are no classes
  for (const button of document.querySelectorAll("[data-do]")) {
    button.hidden = !ACTIONS[button.dataset.do];
    button.addEventListener("click", () => {
      const ids = viewTools.contains(button) ? [viewed] : ticked();
      ACTIONS[button.dataset.do](ids);
    });
  }

  // ---- keys -----------------------------------------------------------------------------------

  // The photograph that a key is for: in the large view, with the focus, or under the pointer.
  const target = () => {
    if (view.open) return viewed;
    if (byId("images").hidden) return -1;
    const item = document.activeElement.closest("#gallery li") || list.querySelector("li:hover");
    return item ? Number(item.querySelector(".mark").dataset.row) : -1;
  };
  const KEYS = { d: "drop", l: "relabel", n: "note" };

  addEventListener("keydown", (event) => {
    if (camcli.isTyped(event) || event.altKey || dialog.open) return;
    const key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey) {
      if (key !== "z" || event.shiftKey || !marks.canUndo()) return;
      undo();
      event.preventDefault();
      return;
    }
    if (key === "z" && !event.shiftKey) undo();
    else if (key === "x" || (key in KEYS && ACTIONS[KEYS[key]])) {
      const id = target();
      if (id < 0) {
        used = true;
        draw();
        say("Move to a photograph first, with the arrow keys or the pointer.");
      } else {
        const ids = event.shiftKey && !view.open ? rangeTo(id) : [id];
        if (key === "x") {
          tick(ids, !marks.get(pathOf(id)));
          last = id;
        } else ACTIONS[KEYS[key]](ids);
      }
    } else return;
    event.preventDefault();
  });

  // ---- the bar --------------------------------------------------------------------------------

  const tickAll = byId("tick-all");
  // Called whenever another selection is shown.
  camcli.filters.push({
    keys: [],
    test: () => null,
    says: () => {
      const n = camcli.selection().length;
      tickAll.hidden = !n || n === camcli.settings.rows;
      tickAll.textContent = `Tick these ${count(n)}`;
      return null;
    },
  });
  tickAll.addEventListener("click", () => tick([...camcli.selection()], true));

  const draw = () => {
    for (const place of list.querySelectorAll(".mark")) drawBox(place);
    drawView();
    const counts = marks.counts();
    used = used || marks.size > 0;
    bar.hidden = !used;
    document.body.classList.toggle("has-marks", !bar.hidden);
    const words = { drop: "to drop", relabel: "relabelled", note: "noted", mark: "ticked" };
    const said = Object.entries(words).filter(([name]) => counts[name])
      .map(([name, word]) => `${count(counts[name])} ${word}`);
    byId("marks-count").textContent = said.join(", ") || "Nothing is marked.";
    byId("marks-ticked").hidden = !counts.mark;
    byId("marks-ticked-count").textContent = `${count(counts.mark)} ticked:`;
    byId("marks-undo").disabled = !marks.canUndo();
    for (const id of ["marks-show", "marks-csv", "marks-paths", "marks-clear"]) {
      byId(id).disabled = !marks.size;
    }
    byId("marks-lost").hidden = marks.kept || !marks.size;
  };
  marks.onChange(draw);

  byId("marks-untick").addEventListener("click", () => tick(ticked(), false));
  byId("marks-undo").addEventListener("click", undo);
  byId("marks-show").addEventListener("click", () =>
    camcli.writeHash({ ...Object.fromEntries([...camcli.readHash().keys()].map((key) => [key, null])),
      marked: "any" }));
  byId("marks-clear").addEventListener("click", () => {
    const n = marks.size;
    marks.change(marks.all().map(({ path }) => [path, null]));
    say(`The marks of ${photographs(n)} are taken off. z undoes it.`);
  });

  // ---- taken away, and brought back -----------------------------------------------------------

  const download = (name, bytes, type) => {
    const url = URL.createObjectURL(new Blob([bytes], { type }));
    const link = el("a", { href: url, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  };

  // The marks in the order of the run, those of photographs that are not on this page at the end.
  const ordered = () => {
    const ids = new Map();
    for (let i = 0; i < camcli.loaded; i++) if (marks.get(pathOf(i))) ids.set(pathOf(i), i);
    const place = ({ path }) => (ids.has(path) ? camcli.columns.seq[ids.get(path)] : Infinity);
    return marks.all().sort((a, b) => (place(a) < place(b) ? -1 : place(a) > place(b) ? 1 : 0))
      .map((row) => ({ ...row,
        source: row.source || (ids.has(row.path) ? marks.sourceOf(ids.get(row.path))
          : camcli.settings.marking.sources[0]) }));
  };

  const next = (...children) => byId("marks-next").replaceChildren(...children);
  byId("marks-csv").addEventListener("click", () => {
    download("marks.csv", camcli.marksFile.write(ordered()), "text/csv;charset=utf-8");
    next("Next: ", camcli.command("camcli apply marks.csv --to clean"));
  });
  byId("marks-paths").addEventListener("click", () => {
    const packed = new Set(camcli.settings.marking.packed);
    const rows = ordered();
    const there = rows.filter(({ path }) =>
      !path.split("/").some((_, n, parts) => packed.has(parts.slice(0, n).join("/"))));
    const paths = there.map(({ path, source }) => (source ? `${source.replace(/\/$/, "")}/${path}`
      : path));
    download("paths.txt", camcli.marksFile.list(paths), "text/plain;charset=utf-8");
    const left = rows.length - there.length;
    next(left ? `${count(left)} in tar or zip files have no path. ` : "", "Next: ",
      camcli.command("camcli batch @paths.txt --out look"));
  });

  const file = byId("marks-file");
  for (const button of document.querySelectorAll("[data-marks-import]")) {
    button.addEventListener("click", () => file.click());
  }
  file.addEventListener("change", async () => {
    const chosen = file.files[0];
    file.value = "";
    if (!chosen) return;
    used = true;
    draw();
    try {
      if (camcli.loaded < camcli.settings.rows) throw new Error("the page is still loading");
      const { rows, refused } = camcli.marksFile.read(new Uint8Array(await chosen.arrayBuffer()));
      const known = new Set(camcli.columns.path);
      const here = rows.filter(({ path }) => known.has(path)).length;
      if (!here) throw new Error("none of its photographs is on this page");
      marks.change(rows.map(({ path, source, ...mark }) =>
        [path, { ...mark, source: known.has(path) ? "" : source }]));
      const other = rows.length - here;
      say(`${count(here)} marks imported from ${chosen.name}`
        + (other ? `, and kept ${count(other)} of photographs that are not on this page` : "")
        + (refused.length ? `; ${count(refused.length)} lines are no marks, the first: `
          + `${camcli.shown(refused[0].path || "(no path)")}, ${refused[0].mark || "(no mark)"}` : "")
        + ". z undoes it.");
    } catch (error) {
      say(`${chosen.name} was not imported: ${error.message}.`);
    }
  });

  draw();
})();
