// A finding as a card: what it looks like, its words, what changing it did, its photographs.
"use strict";

(() => {
  const { el, svg, count, shown } = camcli;
  const FEW = 12, MORE = 48; // photographs of a finding that are drawn at first, and then
  const { choices } = camcli.findings;

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
        el("strong", { text: `${camcli.fixed(share.value, 0)}%` }), " ",
        el("span", { class: "hint", text: `[${camcli.fixed(share.low, 0)}, ${camcli.fixed(share.high, 0)}]` })));
      const [[, , of], [, , control]] = effect.rows;
      found.push(table(`${effect.what}: how many ${shown(effect.become)}`,
        `of ${count(effect.photographs)}`, ...rows,
        el("tr", { class: "odds" }, el("td", { colSpan: 3,
          text: `Log-odds ${odds(of)}, control ${odds(control)}. Control: ${shown(effect.control_is)}.` }))));
    }
    if (card.heat) {
      const percent = (value) => camcli.wholePercent(value || 0);
      found.push(table("Where the evidence lies", `in ${count(card.heat.photographs)}`,
        line("evidence on it", bar(100 * card.heat.share, 0, 0, "w"),
          el("strong", { text: percent(card.heat.share) })),
        line("picture that it covers", bar(100 * card.heat.area, 0, 0, ""),
          percent(card.heat.area))));
    }
    return found.length ? el("div", { class: "measures" }, ...found) : null;
  };

  const photo = (from, alt, said) => el("figure", {}, el("div", { class: "shot" },
    el("img", { src: from.url, width: from.width, height: from.height, alt, loading: "lazy" })),
  el("figcaption", {}, said));

  const beforeAndAfter = (card) => (card.retried.length
    ? [el("h4", { text: "Before and after" }), el("ul", { class: "shots retried" },
      ...card.retried.map(({ path, how, before, after, said }) => el("li", {},
        el("div", { class: "two" },
          photo(before, `${shown(path)} as it is`, shown(said[0])),
          photo(after, `${shown(path)}, ${shown(how)}`, el("strong", { text: shown(said[1]) }))),
        el("p", { class: "caption" }, el("span", { class: "path", text: shown(path) }), " ",
          el("span", { class: "hint", text: shown(how) })))))]
    : []);

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
        const suggestion = card.suggestions ? card.suggestions[i] : "";
        const item = el("li", {},
          other >= 0 ? el("div", { class: "two" }, first, picture(other, 0, link)) : first,
          note ? el("p", { class: "caption hint", text: note }) : null);
        list.append(item);
        whenHere(Math.max(card.rows[i], other), () => {
          const fixes = [card.rows[i], other].filter((id) => id >= 0)
            .map((id) => camcli.findings.fix(card, id, suggestion)).filter(Boolean);
          if (fixes.length) item.append(el("p", { class: "fixes" }, ...fixes));
        });
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
    return el("details", { class: "folded" },
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
      mark ? el("figure", { class: "likeness" }, el("img", { src: mark.url, width: mark.width,
        height: mark.height, alt: `What it looks like: ${card.title}`,
        class: mark.zoom > 1 ? "enlarged" : null })) : null,
      el("div", { class: "sentences" }, card.words ? el("p", { text: card.words }) : null,
        card.advice ? el("p", { class: "advice" }, el("strong", { text: "What to do" }), " ",
          card.advice) : null)),
    measures(card), ...beforeAndAfter(card), ...(card.sightings ? shots(name, card, link) : []));
  };

  Object.assign(camcli.findings, { article, outline, picture });
})();
