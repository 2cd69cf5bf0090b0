// The one object that all scripts add to, and small helpers. Scripts are plain, not modules:
// browsers refuse modules on pages that were opened from a disk.
"use strict";

const camcli = {};

// An element with properties and children. Text is always set as text, never parsed as HTML:
// file and class names may hold anything.
camcli.el = (tag, properties = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name === "class") element.className = value;
    else if (name in element && !name.startsWith("aria")) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
};

camcli.svg = (tag, attributes = {}, ...children) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

// What a table has under a name that anybody may have written: in a URL, a record or a class's name.
// An object has more names than those that were put into it, such as "constructor".
camcli.own = (table, name) => (Object.hasOwn(table, name) ? table[name] : undefined);

camcli.byId = (id) => document.getElementById(id);

// A number with so many digits behind the point. What lies exactly between two goes to the even
// one, as in the terminal and in what Python wrote into this page: 1 of 40 is 2% in all of them.
camcli.fixed = (value, digits) => {
  const scaled = value * 10 ** digits;
  const between = Number.isInteger(value * 2 ** (digits + 1)) && Math.abs(scaled % 1) === 0.5;
  return (between ? (2 * Math.round(scaled / 2)) / 10 ** digits : value).toFixed(digits);
};

// A probability for people; what is not quite 100% never claims to be. `share` in 1/100,000.
camcli.percent = (share) => {
  if (share >= 99950 && share < 100000) return ">99.9%";
  if (share > 0 && share < 50) return "<0.1%";
  return `${camcli.fixed(share / 1000, 1)}%`;
};

// The same of a share in [0, 1], without digits after the point.
camcli.wholePercent = (share) => {
  if (share >= 0.995 && share < 1) return ">99%";
  if (share > 0 && share < 0.005) return "<1%";
  return `${camcli.fixed(100 * share, 0)}%`;
};

// A value for people: four digits, or all before the point.
camcli.number = (value) => {
  const size = Math.abs(value);
  if (size >= 1e4 && size < 1e15) return Math.round(value).toLocaleString("en");
  return size && (size < 1e-4 || size >= 1e15) ? value.toExponential(3)
    : value.toPrecision(4).replace(/^(-?)0\.0+$/, "$10");
};

camcli.count = (number) => number.toLocaleString("en");

// A name with its control characters made visible, and bytes that are no text as such.
camcli.shown = (name) =>
  name.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (c) =>
    c === "\n" ? "⏎" : "�").replace(/(?<![\ud800-\udbff])[\udc80-\udcff]/g, "�");

// A name that is read from right to left, kept apart from the words and numbers around it.
const TURNED = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
camcli.isolated = (name) => (TURNED.test(name) ? `\u2068${name}\u2069` : name);

camcli.className = (number) =>
  number < 0 ? "" : camcli.isolated(camcli.shown(camcli.settings.classes[number] || "(no name)"));

// A path as a URL. Bytes that are no UTF-8 arrive as lone surrogates U+DC80 to U+DCFF.
camcli.url = (path) =>
  path.split("/").map((part) => {
    let url = "";
    for (const character of part) {
      const code = character.codePointAt(0);
      if (code >= 0xdc80 && code <= 0xdcff) url += "%" + (code - 0xdc00).toString(16);
      else if (code >= 0xd800 && code <= 0xdfff) url += "%EF%BF%BD";
      else url += encodeURIComponent(character);
    }
    return url;
  }).join("/");

// A word for a POSIX shell.
camcli.quoted = (word) =>
  (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\"'\"'")}'`);

// Whether a name can be typed: without control characters, and bytes that are no text.
camcli.typeable = (name) =>
  !/[\u0000-\u001f\u007f]/.test(name) && !/(?<![\ud800-\udbff])[\udc00-\udfff]/.test(name);

// A file's name without its folders, for people.
camcli.fileName = (path) => camcli.shown(path.split("/").pop());

// Columns hold a letter as a number.
camcli.code = (letter) => letter.charCodeAt(0);

// What came as base64; there may be many megabytes of it.
camcli.bytes = (base64) => {
  const binary = atob(base64);
  const found = new Uint8Array(binary.length);
  for (let i = 0; i < found.length; i++) found[i] = binary.charCodeAt(i);
  return found;
};

// Whether the browser itself opens a link that was clicked so: in another tab, say.
camcli.opensElsewhere = (event) =>
  event.ctrlKey || event.metaKey || event.shiftKey || event.button > 0;

// Whether a key that was pressed belongs into a field.
camcli.isTyped = (event) => Boolean(
  event.target.closest("input:not([type=range]):not([type=checkbox]), select, textarea"));

camcli.afterFrame = (work) => {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; work(); });
  };
};

// A command to be typed in a terminal, with a button that copies it; where there is no clipboard it
// is selected.
camcli.command = (text) => {
  const code = camcli.el("code", { text });
  const button = camcli.el("button", { type: "button", class: "quiet", text: "Copy" });
  const said = camcli.el("span", { class: "hint", role: "status" });
  button.addEventListener("click", async () => {
    let done = false;
    try {
      await navigator.clipboard.writeText(text);
      done = true;
    } catch {
      getSelection().selectAllChildren(code);
      try { done = document.execCommand("copy"); } catch { /* selected, at least */ }
    }
    said.textContent = done ? "copied" : "selected: copy it";
    setTimeout(() => { said.textContent = ""; }, 2000);
  });
  return camcli.el("span", { class: "command" }, code, button, said);
};

// What the scripts of the tabs add, each in a file of its own; nobody edits another's.
//   tabs: name -> called once, when the tab is first looked at.
//   filters: {keys, test(state) -> null or (row number) -> boolean, says(state) -> words or null}
//   orders: name of ?sort= -> () -> (row number) -> number, least first.
//   cardParts: (row, detail or null) -> element or null, below a card's picture.
//   followers: (state, tab) -> called whenever the URL or what is selected has changed.
//   stageParts: (frame, row, detail, s, {large}) -> nothing; adds to a picture that is drawn.
//   viewParts: (row, detail) -> element or null, below the pictures of the large view.
camcli.tabs = {};
camcli.filters = [];
camcli.orders = {};
camcli.cardParts = [];
camcli.stageParts = [];
camcli.viewParts = [];
camcli.followers = [];
