// The rows. What filters need is loaded at once, page by page; details when they are looked at.
"use strict";

(() => {
  // Pages of details to remember: a few screens in any order.
  const KEEP = 120;

  const two = () => camcli.settings.runs.length;
  const columns = { path: [], sides: null };
  const details = new Map();
  const waiting = new Map();
  camcli.columns = columns;
  camcli.loaded = 0; // rows whose index has arrived, always the first ones

  const prepare = () => {
    const n = camcli.settings.rows;
    columns.label = new Int32Array(n);
    columns.seq = new Uint32Array(n);
    columns.similarity = new Int32Array(n);
    columns.labels = new Array(n).fill(0); // of networks of labels: numbers; 0 where not known
    // Of two runs: a letter for what became of each row, and by number of the row, where it was
    // another one, the label or labels in the first run, and the path in the second.
    columns.change = new Uint8Array(n);
    columns.was = new Map();
    columns.moved = new Map();
    columns.sides = Array.from({ length: two() }, () => ({
      verdict: new Uint8Array(n),
      pred: new Int32Array(n),
      against: new Int32Array(n).fill(-1), // of classes whose difference there is a map of
      // In 1/100,000; -1 where there is none.
      ...Object.fromEntries(camcli.settings.shares.map((name) => [name, new Int32Array(n).fill(-1)])),
      positives: new Array(n).fill(0),
      value: new Array(n).fill(0),
      number: new Float64Array(n).fill(NaN),
    }));
  };

  // Called by data/index-*.js.
  camcli.index = (number, page) => {
    if (!columns.sides) prepare();
    const start = number * camcli.settings.page.index;
    page.path.forEach((path, i) => { columns.path[start + i] = path; });
    columns.label.set(page.label, start);
    columns.seq.set(page.seq, start);
    if (page.similarity) columns.similarity.set(page.similarity, start);
    for (let i = 0; i < (page.change || "").length; i++) {
      columns.change[start + i] = page.change.charCodeAt(i);
    }
    for (const name of ["was", "moved"]) {
      for (const [i, own] of Object.entries(page[name] || {})) columns[name].set(start + Number(i), own);
    }
    (page.labels || []).forEach((own, i) => { columns.labels[start + i] = own; });
    page.sides.forEach((from, s) => {
      const to = columns.sides[s];
      (from.positives || []).forEach((own, i) => { to.positives[start + i] = own; });
      (from.value || []).forEach((own, i) => { to.value[start + i] = own; });
      (from.number || []).forEach((own, i) => {
        if (own !== null) to.number[start + i] = own;
      });
      to.pred.set(from.pred, start);
      if (from.against) to.against.set(from.against, start);
      for (const name of camcli.settings.shares) to[name].set(from[name], start);
      for (let i = 0; i < from.verdict.length; i++) {
        to.verdict[start + i] = from.verdict.charCodeAt(i);
      }
    });
    camcli.loaded = start + page.path.length;
  };

  // Called by data/detail-*.js.
  camcli.detail = (number, page) => {
    details.set(number, page);
    for (const done of waiting.get(number) || []) done();
    waiting.delete(number);
    if (details.size === camcli.settings.eager) camcli.preparePrint();
    if (camcli.settings.contained) return;
    for (const old of details.keys()) {
      if (details.size <= KEEP) break;
      if (old !== number) details.delete(old);
    }
  };

  const load = camcli.loadScript = (name) => new Promise((done, fail) => {
    const script = document.createElement("script");
    script.src = `data/${name}.js`;
    script.onload = () => { script.remove(); done(); };
    script.onerror = () => { script.remove(); fail(new Error(`${script.src} is missing`)); };
    document.head.append(script);
  });

  // The rest of the index; `arrived` is called after each page.
  camcli.loadIndex = async (arrived) => {
    while (camcli.loaded < camcli.settings.rows) {
      await load(`index-${camcli.loaded / camcli.settings.page.index}`);
      arrived();
    }
  };

  camcli.rowOf = (id) => ({
    id,
    path: columns.path[id],
    label: columns.label[id],
    labels: columns.labels[id],
    similarity: columns.similarity[id],
    was: columns.was.get(id),
    moved: columns.moved.get(id),
    sides: columns.sides.map((side) => ({
      verdict: String.fromCharCode(side.verdict[id]),
      pred: side.pred[id],
      against: side.against[id],
      ...Object.fromEntries(camcli.settings.shares.map((name) => [name, side[name][id]])),
      positives: side.positives[id],
      value: side.value[id],
    })),
  });

  const listed = (numbers, none) => numbers.map(camcli.className).join(", ") || none;
  // What is in an image, and what a side says of it, in words.
  camcli.truthOf = (row, s = 1) => {
    const labels = s === 0 && row.was !== undefined ? row.was : row.labels || row.label;
    return Array.isArray(labels) ? listed(labels, "none of the labels") : camcli.className(labels);
  };
  // What a photograph is called in the run of a side.
  camcli.pathOf = (row, s) => (s === 1 && row.moved !== undefined ? row.moved : row.path);
  camcli.saidOf = (side) => (side.value ? camcli.shown(side.value)
    : side.positives ? listed(side.positives, "no label") : camcli.className(side.pred));
  camcli.isTrue = (row, number, s = 1) => {
    const labels = s === 0 && row.was !== undefined ? row.was : row.labels || row.label;
    return Array.isArray(labels) ? labels.includes(number) : labels >= 0 && labels === number;
  };
  camcli.isSaid = (side, number) =>
    (side.positives ? side.positives.includes(number) : side.pred === number);

  // A picture's name, where it is not told by a number: then it is made of the photograph's path.
  const overlayOf = (told, path) => {
    const usual = camcli.settings.overlays[told - 1];
    return usual ? usual[0] + path + usual[1] : told;
  };

  const pick = (page, id) => {
    const i = id % camcli.settings.page.detail;
    const path = columns.path[id];
    return {
      size: page.size[i],
      objects: (page.objects || [])[i] || null, // boxes and outlines, in thousandths
      sides: page.sides.map((side) => ({
        top: side.top[i],
        view: side.view[i],
        maps: side.maps[i],
        truth: side.truth[i],
        difference: side.difference ? side.difference[i] : 0,
        either: side.either ? side.either[i] : 0,
        box: side.box[i],
        overlay: overlayOf(side.overlay[i], path),
        error: side.error[i],
        outside: side.outside[i],
      })),
    };
  };

  // Details of a row, now if they are here, else null and `later` is called when they are.
  camcli.detailOf = (id, later) => {
    const number = Math.floor(id / camcli.settings.page.detail);
    const page = details.get(number);
    if (page) {
      details.delete(number); // used last, forgotten last
      details.set(number, page);
      return pick(page, id);
    }
    if (!waiting.has(number)) {
      waiting.set(number, []);
      // Of a small page they come with the document, after the first picture of it.
      const comes = number < camcli.settings.eager && document.readyState !== "complete";
      if (!comes) load(`detail-${number}`).catch((error) => { waiting.delete(number); console.error(error); });
    }
    waiting.get(number).push(later);
    return null;
  };
})();
