// What camcli audit and camcli check found: a tab each, badges, filters, outlines.
"use strict";

(() => {
  const { el, svg, byId, count, shown } = camcli;
  const NAMES = ["audit", "check"];
  const FEW = 12, MORE = 48; // photographs of a finding that are drawn at first, and then
  const CARDS = 20; // findings, clusters
  const choices = new Map((camcli.settings.findings || []).map((one) => [one.key, one]));

  // ---- Which rows are in which finding.

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

  // ---- Pictures.

  // A box as it can be seen on any ground; edges in thousandths of the photograph.
  const outline = (frame, [left, top, right, bottom]) => {
    const box = { x: left, y: top, width: right - left, height: bottom - top };
    frame.append(svg("svg", { class: "outline", viewBox: "0 0 1000 1000",
      preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { ...box, class: "casing" }), svg("rect", { ...box, class: "line" })));
  };

  // Rows arrive page by page; this is about one that may not be here yet.
  const whenHere = (id, work) => {
    if (camcli.loaded > id) work();
    else setTimeout(() => whenHere(id, work), 100);
  };

  const picture = (id, region, link) => {
    const place = el("a", { class: "pick" });
    const draw = () => {
      const row = camcli.rowOf(id);
      place.href = camcli.linkTo({ ...link, open: row.path });
      const detail = camcli.detailOf(id, draw);
      const map = detail && detail.sides[0].maps[0];
      const alt = camcli.altOf(row, 0) + (region ? ", with what was found outlined" : "");
      const stage = camcli.stage(row, detail, 0, map || null, { alt });
      if (region && detail && detail.size) outline(stage.querySelector(".frame"), region);
      place.replaceChildren(stage, el("span", { class: "path", text: shown(row.path) }));
    };
    place.append(el("span", { class: "stage" }));
    whenHere(id, draw);
    return place;
  };

  // ---- Cards.

  const bar = (value, low, high, kind) => {
    const share = Math.min(100, Math.max(0, value || 0));
    const chart = svg("svg", { class: `share ${kind}`, viewBox: "0 0 100 10",
      preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "level", x: 0, y: 0, width: share.toFixed(1), height: 10 }));
    if (high > low) {
      chart.append(svg("line", { class: "whisker", x1: low.toFixed(1), y1: 5,
        x2: high.toFixed(1), y2: 5 }));
    }
    return chart;
  };

  const line = (name, chart, ...number) => el("tr", {}, el("th", { scope: "row", text: name }),
    el("td", {}, chart), el("td", { class: "number" }, ...number));
  const table = (caption, hint, ...rows) => el("table", {},
    el("caption", {}, `${caption} `, el("span", { class: "hint", text: hint })),
    el("tbody", {}, ...rows));
  const odds = (value) => (value === null ? "–"
    : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)}`);

  const measures = (card) => {
    const found = [];
    const counts = card.counts.filter(([, , all]) => all > 0);
    if (counts.length) {
      found.push(table("Photographs that have it", "", ...counts.map(([whose, some, all]) =>
        line(shown(whose) || "all", bar((100 * some) / all, 0, 0, ""),
          `${count(some)} of ${count(all)}`))));
    }
    for (const effect of card.effects) {
      const rows = effect.rows.map(([name, share, , kind]) => line(shown(name),
        bar(share.value, share.low, share.high, kind),
        el("strong", { text: `${share.value.toFixed(0)}%` }), " ",
        el("span", { class: "hint", text: `[${share.low.toFixed(0)}, ${share.high.toFixed(0)}]` })));
      const [[, , of], [, , control]] = effect.rows;
      found.push(table(`${effect.what}: how many ${shown(effect.become)}`,
        `of ${count(effect.photographs)}`, ...rows,
        el("tr", { class: "odds" }, el("td", { colSpan: 3,
          text: `Log-odds ${odds(of)}, control ${odds(control)}. Control: ${shown(effect.control_is)}.` }))));
    }
    if (card.heat) {
      const percent = (value) => `${(100 * (value || 0)).toFixed(0)}%`;
      found.push(table("Where the evidence lies", `in ${count(card.heat.photographs)}`,
        line("evidence on it", bar(100 * card.heat.share, 0, 0, "w"),
          el("strong", { text: percent(card.heat.share) })),
        line("picture that it covers", bar(100 * card.heat.area, 0, 0, ""),
          percent(card.heat.area))));
    }
    return found.length ? el("div", { class: "measures" }, ...found) : null;
  };

  const shots = (name, card, link) => {
    const list = el("ul", { class: "shots" });
    const more = el("button", { type: "button", class: "plain" });
    let drawn = 0;
    const draw = (most) => {
      const end = Math.min(card.rows.length, drawn + most);
      for (; drawn < end; drawn++) {
        const i = drawn;
        const other = card.others ? card.others[i] : -2;
        const first = picture(card.rows[i], card.regions ? card.regions[i] : 0, link);
        const note = [card.notes && card.notes[i],
          other === -1 ? "the other one is not in this run" : ""].filter(Boolean).join("; ");
        list.append(el("li", {},
          other >= 0 ? el("div", { class: "two" }, first, picture(other, 0, link)) : first,
          note ? el("p", { class: "caption hint", text: note }) : null));
      }
      more.hidden = drawn >= card.rows.length;
      more.textContent = `Show ${count(Math.min(MORE, card.rows.length - drawn))} more`;
    };
    more.addEventListener("click", () => {
      const next = drawn;
      draw(MORE);
      list.children[next].querySelector("a").focus({ preventScroll: true });
    });
    draw(FEW);
    const all = choices.get(`${name}:${card.number}`);
    const heading = el("h4", {}, card.others ? "Pairs " : "Photographs ",
      el("span", { class: "hint",
        text: card.rows.length ? `${count(card.rows.length)}, the clearest first` : "none in this run" }),
      all ? el("a", { class: "all", href: camcli.linkTo({ finding: all.key, sort: "finding" }),
        text: all.photographs === 1 ? "Show it in the gallery"
          : `Show all ${count(all.photographs)} in the gallery` }) : null);
    return [heading, list, more, gone(card)];
  };

  // Photographs that the run does not have can be named only.
  const gone = (card) => {
    if (!card.gone_count) return null;
    const rest = card.gone_count - card.gone.length;
    return el("details", {},
      el("summary", { text: `${count(card.gone_count)} ${card.rows.length ? "more are" : card.gone_count === 1 ? "is" : "are"} not among the photographs of this run` }),
      el("ul", { class: "left" }, ...card.gone.map((path) => el("li", { text: path })),
        rest > 0 ? el("li", { class: "hint", text: `and ${count(rest)} more` }) : null));
  };

  const article = (name, card) => {
    const link = { tab: name, finding: `${name}:${card.number}`, sort: "finding" };
    const title = `title-${name}-${card.number}`;
    const mark = card.mark;
    return el("article", { class: `finding ${card.verdict.replace(" ", "-")}`,
      id: `finding-${name}-${card.number}`, tabIndex: -1, "aria-labelledby": title },
    el("header", {}, el("h3", { id: title, text: card.title }),
      el("p", {}, card.word ? el("span", { class: "pill verdict", text: card.word }) : null,
        el("span", { class: "pill", text: card.kind }))),
    el("div", { class: mark ? "told with-mark" : "told" },
      mark ? el("figure", { class: "mark" }, el("img", { src: mark.url, width: mark.width,
        height: mark.height, alt: `What it looks like: ${card.title}`,
        class: mark.zoom > 1 ? "enlarged" : null })) : null,
      el("div", { class: "sentences" }, card.words ? el("p", { text: card.words }) : null,
        card.advice ? el("p", { class: "advice" }, el("strong", { text: "What to do" }), " ",
          card.advice) : null)),
    measures(card), ...(card.sightings ? shots(name, card, link) : []));
  };

  // Many things, some at a time.
  const portions = (items, make, holder, words) => {
    const more = el("button", { type: "button", class: "plain" });
    let drawn = 0;
    const draw = (to) => {
      for (; drawn < Math.min(to, items.length); drawn++) holder.append(make(items[drawn]));
      more.hidden = drawn >= items.length;
      more.textContent = `Show ${Math.min(CARDS, items.length - drawn)} more of ${count(items.length)} ${words}`;
    };
    more.addEventListener("click", () => draw(drawn + CARDS));
    draw(CARDS);
    return { more, all: () => draw(items.length) };
  };

  // ---- Tabs.

  const WHAT = {
    audit: "An audit looks for what gives classes away, such as a watermark, a frame or a tint, "
      + "and proves by taking it away and by putting it on others whether the network uses it.",
    check: "A check looks for labels that are probably wrong, copies, files that cannot be read, "
      + "and photographs that stand out.",
  };

  const empty = (name) => {
    const { run, photographs } = camcli.settings.typed;
    const what = name === "audit" ? run : photographs;
    const start = el("p", {}, `${WHAT[name]} None was found beside this run. To see here what it `
      + "finds, type both:");
    if (name === "audit" && camcli.settings.values) {
      return [el("p", { class: "hint", text: `${WHAT[name]} This network returns values, and there are no classes to compare.` })];
    }
    return [start, el("p", {}, camcli.command(`camcli ${name} ${what}`)),
      el("p", {}, camcli.command(`camcli report ${run}`))];
  };

  const from = (part, name) => {
    const n = part.photographs;
    return [
      el("p", { class: "hint" },
        `${n ? `${count(n)} photographs were looked at. ` : ""}From ${shown(part.folder)}`,
        part.page && !camcli.settings.contained ? el("span", {}, ": ",
          el("a", { href: part.page, text: `the ${name}'s own page` })) : null, "."),
      ...part.notes.map((note) => el("p", { class: "note", text: note })),
    ];
  };

  const listed = (title, sentences) => (sentences.length
    ? el("section", { class: "verdicts" }, el("h3", { text: title }),
      el("ul", { class: "left" }, ...sentences.map((text) => el("li", { text }))))
    : null);

  const percent = (value) => (value === null ? "–" : `${(100 * value).toFixed(0)}%`);

  const classTable = (part) => {
    if (!part.classes || !part.classes.length) return null;
    const masks = part.classes.some(({ stray }) => stray !== null);
    const titles = ["Class", "Correct", ...(masks ? ["Heat off the object"] : []),
      "Heat at the border", "Hottest in one corner", "Used"];
    const body = el("tbody");
    const { more } = portions(part.classes, (row) => el("tr", {},
      el("th", { scope: "row" }, el("a", { href: camcli.linkTo({ pred: row.label }),
        text: shown(row.label) || "(no name)" })),
      el("td", { class: "number", text: row.right === null || row.count === null ? "–"
        : `${count(row.right)} of ${count(row.count)}` }),
      masks ? el("td", { class: "number", text: percent(row.stray) }) : null,
      el("td", { class: "number", text: percent(row.border) }),
      el("td", { class: "number", text: percent(row.corner) }),
      el("td", { class: row.flags.length ? "w" : "hint",
        text: row.flags.map(shown).join(", ") || "nothing shown" })), body, "classes");
    return el("section", { class: "verdicts" }, el("h3", { text: "Where the heat of each class lies" }),
      el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Classes of the audit" },
        el("table", { class: "list" }, el("thead", {}, el("tr", {},
          ...titles.map((text) => el("th", { scope: "col", text })))), body)), more);
  };

  const strip = (one) => {
    const key = `${one.class}:${one.number}`;
    const n = one.rows.length;
    const name = shown(one.class) || "(no name)";
    const link = n ? { tab: "audit", cluster: key } : { tab: "audit" };
    return el("article", { class: "strip", "aria-label": `${name}: cluster ${one.number}` },
      el("h4", {}, `${name}: cluster ${one.number} `, el("span", { class: "hint",
        text: `${one.images === null ? "" : `${count(one.images)} photographs`}${one.probability === null ? ""
          : `, mean probability ${percent(one.probability)}`}` }),
      n ? el("a", { class: "all", href: camcli.linkTo({ cluster: key }),
        text: `Show ${n === 1 ? "it" : `all ${count(n)}`} in the gallery` }) : null),
      el("ul", { class: "shots" }, ...one.typical.map((id) => el("li", {}, picture(id, 0, link)))));
  };

  const clusters = (part) => {
    if (!part.clusters.length) return null;
    const holder = el("div", { class: "strips" });
    const { more } = portions(part.clusters, strip, holder, "groups");
    return el("section", { class: "verdicts" }, el("h3", { text: "Alike maps" }),
      el("p", { class: "hint", text: "The heatmaps of each predicted class in groups of alike ones, "
        + "with the photographs nearest to the middle of each group. A small group that looks at "
        + "something else than the others is worth a look." }), holder, more);
  };

  const show = new Map(); // "audit:3" -> shows its card, however far down

  const sections = (name, part) => {
    if (!part.findings.length) {
      const looked = part.looked_for.length ? " Looked for:" : "";
      return [el("p", { class: "note calm", text: `Nothing was found.${looked}` }),
        el("ul", { class: "left" }, ...part.looked_for.map((text) => el("li", { text })))];
    }
    const found = [];
    for (const [verdict, [title, words]] of Object.entries(part.headings)) {
      const own = part.findings.filter((card) => card.verdict === verdict);
      if (!own.length) continue;
      const holder = el("div");
      const { more, all } = portions(own, (card) => article(name, card), holder, "findings");
      for (const card of own) show.set(`${name}:${card.number}`, all);
      found.push(el("section", { class: "verdicts", "aria-label": title },
        verdict === "data" ? null : el("h3", { class: "verdict-title", text: title }),
        words ? el("p", { class: "hint", text: words }) : null, holder, more));
    }
    if (part.left_out) {
      found.push(el("p", { class: "hint", text: `${count(part.left_out)} more are in ${shown(part.folder)} only.` }));
    }
    return found;
  };

  const draw = (name) => async () => {
    const body = byId(`${name}-body`);
    if (!camcli.hasPart(name)) {
      body.replaceChildren(...empty(name));
      return;
    }
    body.replaceChildren(el("p", { class: "hint", text: "Loading…" }));
    const part = await camcli.loadPart(name);
    const heat = el("input", { type: "checkbox" });
    heat.addEventListener("change", () => body.classList.toggle("with-heat", heat.checked));
    const outlines = el("input", { type: "checkbox", checked: true });
    outlines.addEventListener("change", () => body.classList.toggle("no-outlines", !outlines.checked));
    const regions = part.findings.some((card) => card.regions);
    body.replaceChildren(...[
      ...from(part, name),
      el("div", { class: "bar" },
        regions ? el("label", { class: "check" }, outlines, " Outline what was found") : null,
        el("label", { class: "check" }, heat, " Heat over the photographs")),
      ...sections(name, part),
      listed("Not looked at", part.not_looked),
      name === "audit" ? clusters(part) : null,
      name === "audit" ? classTable(part) : null,
      part.findings.length ? listed("What was looked for", part.looked_for) : null,
    ].filter(Boolean));
    goTo();
  };
  for (const name of NAMES) camcli.tabs[name] = draw(name);

  // The card that the URL names comes into sight, once.
  let went = null;
  const goTo = () => {
    const state = camcli.readHash();
    const key = state.get("finding");
    const wanted = key && NAMES.includes(state.get("tab")) ? `${state.get("tab")} ${key}` : null;
    if (wanted === went && wanted !== null) return;
    went = null;
    if (!wanted || state.get("tab") !== key.split(":")[0]) return;
    const id = `finding-${key.replace(":", "-")}`;
    if (!byId(id) && show.has(key)) show.get(key)();
    const card = byId(id);
    if (!card) return; // drawn later, which asks again
    went = wanted;
    if (state.has("open")) return;
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "start" });
  };
  camcli.followers.push(goTo);

  // ---- Badges and the large view.

  camcli.cardParts.push((row) => {
    const found = choices.size ? camcli.findings.of(row.id) : null;
    if (!found || !found.length) return null;
    const [{ key, card }] = found;
    const more = new Set(found.map((one) => one.key)).size - 1;
    const titles = [...new Set(found.map((one) => one.card.title))].join("; ");
    return el("a", { class: `badge ${card.verdict.replace(" ", "-")}`, tabIndex: -1, title: titles,
      href: camcli.linkTo({ tab: key.split(":")[0], finding: key }),
      "aria-label": `In the ${key.split(":")[0]}: ${titles}`,
      text: `⚑ ${card.kind}${more ? ` +${more}` : ""}` });
  });

  let outlined = true;
  camcli.viewParts.push((row) => {
    const found = choices.size ? camcli.findings.of(row.id) : null;
    if (!found || !found.length) return null;
    const regions = found.filter(({ region }) => region).map(({ region }) => region);
    const list = el("ul", { class: "found-in" }, ...found.map((one) => {
      const name = one.key.split(":")[0];
      return el("li", {},
        el("span", { class: `pill ${one.card.verdict.replace(" ", "-")}`, text: one.card.kind }), " ",
        el("a", { href: camcli.linkTo({ tab: name, finding: one.key }), text: one.card.title }),
        one.note ? el("span", { class: "hint", text: ` ${one.note}` }) : null,
        one.other >= 0 ? el("div", { class: "shots" }, picture(one.other, 0, keep())) : null);
    }));
    const part = el("section", { class: "findings-of", "aria-label": "Findings about this photograph" },
      el("h3", { text: found.length === 1 ? "In a finding" : `In ${found.length} findings` }), list);
    if (regions.length) {
      const box = el("input", { type: "checkbox", checked: outlined });
      const toggle = () => {
        outlined = box.checked;
        byId("view-body").classList.toggle("no-outlines", !outlined);
      };
      box.addEventListener("change", toggle);
      part.append(el("label", { class: "check" }, box, " Outline what was found"));
      // The pictures are put into the document after this.
      queueMicrotask(() => {
        toggle();
        for (const frame of document.querySelectorAll("#view-body .sight .frame")) {
          for (const region of regions) outline(frame, region);
        }
      });
    }
    return part;
  });

  // What the URL shows stays when another photograph is opened.
  const keep = () => {
    const state = Object.fromEntries(camcli.readHash());
    delete state.open;
    return state;
  };

  // After the first pictures: badges need to know.
  if (choices.size) {
    setTimeout(() => NAMES.filter(camcli.hasPart).forEach(camcli.loadPart), 0);
  }
})();
