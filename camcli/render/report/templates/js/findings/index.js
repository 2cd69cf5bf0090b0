// Which photographs are in which finding of an audit or a check, or in which cluster: filters and
// an order of the gallery, and what other tabs ask for.
"use strict";

(() => {
  const { shown } = camcli;
  const NAMES = ["audit", "check"];
  const choices = new Map((camcli.settings.findings || []).map((one) => [one.key, one]));

  const indexes = new Map(); // name of the part -> {rows: key -> Set, of: row -> [place, ...]}
  const indexOf = (name) => {
    if (!choices.size || !camcli.hasPart(name)) return null;
    if (indexes.has(name)) return indexes.get(name);
    const part = camcli.partNow(name);
    if (!part) return null;
    const index = { rows: new Map(), of: new Map() };
    for (const card of part.findings) {
      const key = `${name}:${card.number}`;
      const rows = new Map(); // in the order of the finding, the clearest first
      card.rows.forEach((row, i) => {
        for (const [one, other] of [[row, card.others ? card.others[i] : -2],
          [card.others ? card.others[i] : -2, row]]) {
          if (one < 0 || rows.has(one)) continue;
          rows.set(one, rows.size);
          if (!index.of.has(one)) index.of.set(one, []);
          index.of.get(one).push({
            key, card, other,
            region: one === row && card.regions ? card.regions[i] : 0,
            note: card.notes ? card.notes[i] : "",
            suggestion: one === row && card.suggestions ? card.suggestions[i] : "",
          });
        }
      });
      index.rows.set(key, rows);
    }
    indexes.set(name, index);
    return index;
  };

  const clusterIndex = () => {
    if (indexes.has("clusters")) return indexes.get("clusters");
    const part = camcli.hasPart("audit") ? camcli.partNow("audit") : null;
    if (!part) return null;
    const index = { rows: new Map(), of: new Map() };
    for (const one of part.clusters) {
      const key = `${one.class}:${one.number}`;
      index.rows.set(key, new Map(one.rows.map((row, i) => [row, i])));
      for (const row of one.rows) index.of.set(row, key);
    }
    indexes.set("clusters", index);
    return index;
  };

  // For other tabs. `of`: what is found in a row; null while it is on its way.
  camcli.findings = {
    choices, // "audit:3" -> {key, title, kind, photographs}
    of: (id) => {
      const found = NAMES.filter(camcli.hasPart).map(indexOf);
      if (found.some((index) => !index)) return choices.size ? null : [];
      return found.flatMap((index) => index.of.get(id) || []);
    },
    // "alpha:0", or null.
    clusterOf: (id) => clusterIndex()?.of.get(id) ?? null,
  };

  // The rows that a filter lets through, with their places; null while they are on their way.
  const rowsOf = (key) => {
    const name = key.split(":")[0];
    if (!NAMES.includes(name) || !camcli.hasPart(name)) return new Map();
    const index = indexOf(name);
    if (!index) return choices.size ? null : new Map();
    if (key === name) return index.of;
    return index.rows.get(key) || new Map();
  };

  camcli.filters.push({
    keys: ["finding"],
    test: (state) => {
      const key = state.get("finding");
      if (!key) return null;
      const rows = rowsOf(key);
      return (i) => Boolean(rows && rows.has(i));
    },
    says: (state) => {
      const key = state.get("finding");
      if (!key) return null;
      if (NAMES.includes(key)) return `in a finding of the ${key}`;
      return choices.has(key) ? `in “${choices.get(key).title}”` : "in a finding that is not there";
    },
  });

  const parted = (value) => {
    const at = value.lastIndexOf(":");
    return [value.slice(0, at), value.slice(at + 1)];
  };
  camcli.filters.push({
    keys: ["cluster"],
    test: (state) => {
      const key = state.get("cluster");
      if (!key) return null;
      const index = clusterIndex();
      const rows = index && index.rows.get(key);
      return (i) => Boolean(rows && rows.has(i));
    },
    says: (state) => {
      const key = state.get("cluster");
      if (!key) return null;
      const [name, number] = parted(key);
      return `in cluster ${shown(number)} of ${shown(name) || "(no name)"}`;
    },
  });

  camcli.orders.finding = () => {
    const rows = rowsOf(camcli.readHash().get("finding") || "") || new Map();
    return (i) => {
      const place = rows.get(i);
      return typeof place === "number" ? place : Infinity;
    };
  };
})();
