// What camcli audit and camcli check found: a tab each, badges, the large view.
"use strict";

(() => {
  const { el, byId, count, shown } = camcli;
  const { article, choices, outline, picture } = camcli.findings;
  const NAMES = ["audit", "check"];
  const CARDS = 20; // findings, clusters

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

  const percent = (value) => (value === null ? "–" : camcli.wholePercent(value));

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
        camcli.findings.fix(one.card, row.id, one.suggestion),
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

  // Badges need to know. In one file the parts come after this script.
  addEventListener("DOMContentLoaded", () => {
    if (choices.size) NAMES.filter(camcli.hasPart).forEach(camcli.loadPart);
  });
})();
