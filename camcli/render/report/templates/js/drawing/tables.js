// A table that can be sorted by a click on a column's name, searched, and is drawn part by part.
"use strict";

(() => {
  const { el, count } = camcli;
  const collator = new Intl.Collator(undefined, { numeric: true });

  // A bar for a share in [0, 1].
  camcli.meter = (share, kind) => {
    const bar = el("span", { class: `meter ${kind}` });
    const level = el("span");
    level.style.width = `${100 * share}%`;
    bar.append(level);
    return bar;
  };

  // Column heads that cannot be clicked.
  camcli.tableHead = (...names) =>
    el("thead", {}, el("tr", {}, ...names.map((text) => el("th", { scope: "col", text }))));

  // A share of counts for people; a dash where there is nothing to share.
  camcli.shareOf = (part, whole) => (whole ? `${camcli.fixed((100 * part) / whole, 0)}%` : "–");

  // What has no value comes last, whichever way round.
  const compared = (a, b, down) => {
    const none = (value) => value === null || value === undefined || Number.isNaN(value);
    if (none(a) || none(b)) return none(a) - none(b);
    const order = typeof a === "string" ? collator.compare(a, b) : a - b;
    return down ? -order : order;
  };

  // columns: {title, hint, value: (row) -> number, text or null; cell: (row) -> element or text;
  //   kind: of the cell, "number"; down: whether the largest comes first at the first click;
  //   fixed: cannot be sorted by; head: the cell names the row}
  // options: rows; search: a field whose text the name must hold; name: (row) -> text;
  //   found: an element that tells how many; more: a button that shows more; part: rows at first;
  //   what: what the rows are, in words.
  camcli.sortedTable = (table, columns,
    { rows, search = null, name = null, found = null, more = null, part = 50, what = "rows" }) => {
    const body = el("tbody");
    let sorted = { column: null, down: false };
    let chosen = rows, drawn = 0;

    const cellOf = (column, row) => {
      const inside = column.cell(row);
      const tag = column.head ? "th" : "td";
      const cell = el(tag, column.head ? { scope: "row" } : { class: column.kind || "" });
      cell.append(...[inside].flat().filter((each) => each !== null && each !== undefined));
      return cell;
    };
    const draw = (to) => {
      for (; drawn < Math.min(to, chosen.length); drawn++) {
        const row = chosen[drawn];
        body.append(el("tr", {}, ...columns.map((column) => cellOf(column, row))));
      }
      if (!more) return;
      more.hidden = drawn >= chosen.length;
      more.textContent =
        `Show ${count(Math.min(500, chosen.length - drawn))} more of ${count(chosen.length)} ${what}`;
    };
    const refresh = () => {
      const wanted = search ? search.value.trim().toLowerCase() : "";
      chosen = wanted ? rows.filter((row) => name(row).toLowerCase().includes(wanted)) : [...rows];
      const { column, down } = sorted;
      if (column) {
        const values = new Map(chosen.map((row) => [row, column.value(row)]));
        chosen.sort((x, y) => compared(values.get(x), values.get(y), down));
      }
      if (found) {
        found.textContent = chosen.length === rows.length ? `${count(rows.length)} ${what}`
          : `${count(chosen.length)} of ${count(rows.length)} ${what}`;
      }
      drawn = 0;
      body.replaceChildren();
      draw(more ? part : Infinity);
      if (!chosen.length) {
        body.append(el("tr", {}, el("td", { class: "hint", colSpan: columns.length,
          text: rows.length ? "None has that in its name." : "None." })));
      }
    };

    const heads = columns.map((column) => {
      const head = el("th", { scope: "col" });
      if (column.fixed) {
        head.append(column.title);
        return head;
      }
      const button = el("button", { type: "button", class: "sort", title: column.hint || null },
        column.title, el("span", { class: "arrow", "aria-hidden": "true" }));
      button.addEventListener("click", () => {
        const down = sorted.column === column ? !sorted.down : Boolean(column.down);
        sorted = { column, down };
        for (const [other, element] of columns.map((each, n) => [each, heads[n]])) {
          if (other === column) element.setAttribute("aria-sort", down ? "descending" : "ascending");
          else element.removeAttribute("aria-sort");
        }
        refresh();
      });
      head.append(button);
      return head;
    });
    table.replaceChildren(el("thead", {}, el("tr", {}, ...heads)), body);
    if (search) search.addEventListener("input", camcli.afterFrame(refresh));
    if (more) more.onclick = () => draw(drawn + 500);
    refresh();
  };
})();
