// What the points of the map are coloured by.
"use strict";

(() => {
  const { count, code } = camcli;
  const first = () => camcli.columns.sides[0];
  const LEVELS = 32;

  // Groups of rows: the largest get colours of their own.
  //   groupOf: row -> number of a group, or -1; named: number -> {text, changes}
  //   rest: what the others are called; none: what rows without a group are called
  const groups = (groupOf, named, rest, none) => {
    const n = camcli.loaded, sizes = new Map();
    for (let i = 0; i < n; i++) {
      const group = groupOf(i);
      sizes.set(group, (sizes.get(group) || 0) + 1);
    }
    const without = sizes.get(-1) || 0;
    sizes.delete(-1);
    const order = [...sizes].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
    const own = order.slice(0, order.length <= camcli.classColours ? order.length
      : camcli.classColours - 1);
    const others = order.length - own.length;
    const places = new Map(own.map(([group], place) => [group, place]));
    const codes = new Uint8Array(n);
    for (let i = 0; i < n; i++) codes[i] = places.get(groupOf(i)) ?? own.length;
    const entries = own.map(([group, size], place) => ({
      ...named(group), size, colour: camcli.classColour(place),
    }));
    const left = order.slice(own.length).reduce((sum, [, size]) => sum + size, 0);
    const grey = camcli.themeColour("neutral");
    if (others) entries.push({ text: `${count(others)} ${rest}`, size: left + without, colour: grey });
    else if (without) entries.push({ text: none, size: without, colour: grey });
    return { codes, colours: [...own.map((_, place) => camcli.classColour(place)), grey],
      ground: own.length, entries };
  };

  const className = (key) => (number) =>
    ({ text: camcli.className(number), changes: { [key]: camcli.settings.classes[number] } });

  const verdicts = () => {
    const letters = [["r", "right", "right", "right"], ["w", "wrong", "wrong", "wrong"],
      ["u", "without a usable label", "neutral", "unknown"], ["e", "failed", "neutral", "failed"]];
    const codes = new Uint8Array(camcli.loaded), sizes = [0, 0, 0, 0];
    for (let i = 0; i < codes.length; i++) {
      codes[i] = Math.max(0, letters.findIndex(([letter]) => code(letter) === first().verdict[i]));
      sizes[codes[i]] += 1;
    }
    return {
      codes, colours: letters.map(([, , name]) => camcli.themeColour(name)),
      entries: letters.map(([, text, name, is], k) => ({ text, size: sizes[k], changes: { is },
        colour: camcli.themeColour(name) })).filter(({ size }) => size),
    };
  };

  // A number: from little to much, and grey where there is none.
  const ramp = (valueOf, shown, low = null, high = null) => {
    const n = camcli.loaded;
    let [least, most] = [Infinity, -Infinity];
    for (let i = 0; i < n; i++) {
      const value = valueOf(i);
      if (value < least) least = value;
      if (value > most) most = value;
    }
    least = low ?? (Number.isFinite(least) ? least : 0);
    most = high ?? (Number.isFinite(most) ? most : 1);
    const codes = new Uint8Array(n), span = most - least || 1;
    let without = 0;
    for (let i = 0; i < n; i++) {
      const value = valueOf(i);
      if (Number.isNaN(value)) {
        codes[i] = LEVELS;
        without += 1;
      } else codes[i] = Math.min(LEVELS - 1, Math.max(0, Math.floor(((value - least) / span) * LEVELS)));
    }
    const colours = Array.from({ length: LEVELS }, (_, k) => camcli.rampColour(k / (LEVELS - 1)));
    return { codes, colours: [...colours, camcli.themeColour("neutral")], ground: LEVELS, without,
      scale: { low: shown(least), high: shown(most), colours } };
  };

  const share = (name) => (i) => (first()[name][i] < 0 ? NaN : first()[name][i]);
  const known = (name) => () => camcli.settings.shares.includes(name)
    && first()[name].subarray(0, camcli.loaded).some((value) => value >= 0);

  // Rows by finding or by cluster, where a part tells them; the first that names a row counts.
  const listed = (found, rest, none) => {
    const of = new Int32Array(camcli.loaded).fill(-1);
    found.forEach(({ rows }, number) => {
      for (const i of rows) if (i >= 0 && i < of.length && of[i] < 0) of[i] = number;
    });
    return groups((i) => of[i], (number) => found[number], rest, none);
  };
  const findings = () => ["audit", "check"].flatMap((name) =>
    ((camcli.partNow(name) || {}).findings || []).map((finding) => ({
      text: camcli.shown(finding.title), changes: { finding: `${name}:${finding.number}` },
      rows: [...finding.rows, ...(finding.others || []).filter((i) => i >= 0)],
    })));
  const clusters = () => ((camcli.partNow("audit") || {}).clusters || []).map((cluster) => ({
    text: `${camcli.shown(cluster.class)}, cluster ${cluster.number}`,
    changes: { cluster: `${cluster.class}:${cluster.number}` }, rows: cluster.rows || [],
  }));

  const labelled = () => camcli.settings.summaries[0].counts.r + camcli.settings.summaries[0].counts.w > 0;
  const { values, several } = camcli.settings;

  // {name, title, here: whether there is any, of: the colours of the rows that have arrived}
  camcli.colourings = [
    { name: "class", title: "true class", here: () => !values && !several && labelled(),
      of: () => groups((i) => camcli.columns.label[i], className("true"), "other classes", "no label") },
    { name: "pred", title: several ? "likeliest label" : "predicted class", here: () => !values,
      of: () => groups((i) => first().pred[i], className("pred"), "other classes", "failed") },
    { name: "verdict", title: "right or wrong", here: labelled, of: verdicts },
    { name: "confidence", title: several ? "probability of the likeliest label" : "confidence",
      here: () => !values,
      of: () => ramp((i) => (first().pred[i] < 0 ? NaN : first().prob[i]), camcli.percent, 0, 100000) },
    { name: "value", title: "value", here: () => Boolean(values),
      of: () => ramp((i) => first().number[i], camcli.number) },
    { name: "finding", title: "finding", here: () => camcli.hasPart("audit") || camcli.hasPart("check"),
      of: () => listed(findings(), "other findings, or none", "in no finding") },
    { name: "cluster", title: "cluster of alike heat", here: () => camcli.hasPart("audit"),
      of: () => listed(clusters(), "other clusters, or none", "in no cluster") },
    ...[["border", "heat at the border"], ["area", "hot area"],
      ["seen", "share of the photograph that was seen"], ["on_object", "heat on the object"]]
      .map(([name, title]) => ({ name, title, here: known(name),
        of: () => ramp(share(name), camcli.percent, 0, name === "seen" || name === "on_object" ? 100000 : null) })),
  ];
})();
