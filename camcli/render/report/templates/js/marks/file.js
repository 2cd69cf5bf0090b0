// marks.csv and paths.txt: written so that a spreadsheet changes nothing in them, and read again,
// also after one has saved them. The same rules are in camcli/data/marked/marks_file.py and
// camcli/spreadsheet.py.
"use strict";

(() => {
  const COLUMNS = ["path", "mark", "label", "note", "source"];
  const LABELS = ["label", "new label", "new_label", "relabel"];
  const WORDS = ["drop", "relabel", "note", "mark"];
  // What a spreadsheet runs.
  const FORMULA = /^'*[=+\-@\t\r\n＝＋－＠]/;
  // What it takes for a number, a date or a truth: 007 becomes 7.
  const NOT_TEXT = new RegExp("^'*((?=[^0-9]*[0-9])[ \\t0-9.,:/$€£%()+e-]+|true|false|wahr|falsch|"
    + "(jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-z]*[-. /]*[0-9]+)$", "i");
  // A byte of a name that is no UTF-8, as the page has it: half a character.
  const BYTE = /(?<![\ud800-\udbff])[\udc80-\udcff]/;

  const kept = (text) => (FORMULA.test(text) || NOT_TEXT.test(text) ? `'${text}` : text);
  const plain = (cell) => (cell.startsWith("'") && (FORMULA.test(cell) || NOT_TEXT.test(cell))
    ? cell.slice(1) : cell);
  const quoted = (text) =>
    (/[",;\t\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  // A text as bytes: UTF-8, but for the bytes of names that are none.
  const encode = (text) => {
    const encoder = new TextEncoder();
    if (!BYTE.test(text)) return encoder.encode(text);
    const parts = text.split(/((?<![\ud800-\udbff])[\udc80-\udcff])/).map((part) =>
      (part.length === 1 && BYTE.test(part) ? Uint8Array.of(part.charCodeAt(0) - 0xdc00)
        : encoder.encode(part)));
    const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  };

  // Bytes as a text, in which those that are no UTF-8 are half characters again.
  const decode = (bytes) => {
    if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
    if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder("utf-16be").decode(bytes);
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    try {
      return decoder.decode(bytes);
    } catch {
      let text = "";
      let start = 0;
      while (start < bytes.length) {
        const first = bytes[start];
        const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
        let part = null;
        try { part = decoder.decode(bytes.subarray(start, start + length)); } catch { /* none */ }
        // Half characters that somebody has written as UTF-8 are refused by the decoder, too.
        text += part || String.fromCharCode(0xdc00 + first);
        start += part ? length : 1;
      }
      return text;
    }
  };

  // The cells of a CSV text, row by row.
  const cellsOf = (text) => {
    const start = text.replace(/^[\r\n]+/, "").split("\n", 1)[0];
    const said = /^sep=(.)\r?\n/.exec(text);
    const between = said ? said[1] : [",", ";", "\t"].reduce((best, sign) =>
      (start.split(sign).length > start.split(best).length ? sign : best));
    let at = said ? said[0].length : 0;
    const rows = [];
    let row = [], cell = "", inside = false;
    for (; at < text.length; at++) {
      const sign = text[at];
      if (inside) {
        if (sign !== '"') cell += sign;
        else if (text[at + 1] === '"') { cell += '"'; at++; } else inside = false;
      } else if (sign === '"' && !cell) inside = true;
      else if (sign === between) { row.push(cell); cell = ""; }
      else if (sign === "\n" || sign === "\r") {
        if (sign === "\r" && text[at + 1] === "\n") at++;
        rows.push([...row, cell]);
        row = []; cell = "";
      } else cell += sign;
    }
    if (inside) throw new Error("a quotation mark is not closed");
    rows.push([...row, cell]);
    return rows.filter((cells) => cells.some((one) => one.trim()));
  };

  camcli.marksFile = {
    WORDS,

    // Rows of {path, mark, label, note, source} as the bytes of marks.csv.
    write: (rows) => {
      const lines = [COLUMNS, ...rows.map((row) => COLUMNS.map((name) => kept(row[name] || "")))];
      // The mark before it says "UTF-8" to spreadsheets.
      return encode(`\ufeff${lines.map((cells) => cells.map(quoted).join(",")).join("\r\n")}\r\n`);
    },

    // Paths one a line; where a name has a line break, each ends in a NUL.
    list: (paths) => {
      const end = paths.some((path) => /[\r\n]/.test(path)) ? "\0" : "\n";
      return encode(paths.map((path) => path + end).join(""));
    },

    // What the bytes of a marks.csv say: {rows, refused}; throws where they are none.
    read: (bytes) => {
      const [first, ...rest] = cellsOf(decode(bytes).replace(/^\ufeff/, ""));
      const names = (first || []).map((cell) => cell.trim().toLowerCase().replace(/\s+/g, " "));
      const column = (wanted) => names.findIndex((name) => wanted.includes(name));
      const at = { path: column(["path"]), mark: column(["mark"]), label: column(LABELS),
        note: column(["note"]), source: column(["source"]) };
      if (at.path < 0 || at.mark < 0) throw new Error("its first line names no path and mark");
      const rows = [], refused = [];
      for (const cells of rest) {
        const row = Object.fromEntries(COLUMNS.map((name) => [name, plain(cells[at[name]] || "")]));
        row.mark = row.mark.trim().toLowerCase() || (row.note.trim() ? "note" : "");
        row.label = row.mark === "relabel" ? row.label.trim() : "";
        const fits = row.path && WORDS.includes(row.mark) && (row.mark !== "relabel" || row.label);
        (fits ? rows : refused).push(row);
      }
      return { rows, refused };
    },
  };
})();
