// Which rows are shown, in which order. All of it lives in the URL behind the #.
"use strict";

(() => {
  const KEYS = ["q", "is", "true", "pred", "min", "max", "sort"];
  const { code } = camcli;
  const RIGHT = code("r"), WRONG = code("w"), UNKNOWN = code("u"), ERROR = code("e"),
    MISSING = code("m");

  camcli.filterKeys = KEYS;

  // Bytes of a name that are no UTF-8 are half characters here, which no URL can hold: they are
  // behind the # as characters that nobody uses.
  const UNUSED = 0x10f000 - 0xd800;
  const whole = (text) => text.replace(/[\ud800-\udfff]/gu, (half) =>
    String.fromCodePoint(half.charCodeAt(0) + UNUSED));
  const halves = (text) => text.replace(/[\u{10f000}-\u{10f7ff}]/gu, (one) =>
    String.fromCharCode(one.codePointAt(0) - UNUSED));
  class State extends URLSearchParams {
    get(key) {
      const value = super.get(key);
      return value === null ? null : halves(value);
    }

    set(key, value) { super.set(key, whole(String(value))); }
  }

  camcli.readHash = () => new State(location.hash.slice(1));

  // Change parts of the URL; "" or null takes one out. `replace` leaves no step in the history.
  camcli.writeHash = (changes, { replace = false } = {}) => {
    const state = camcli.readHash();
    for (const [key, value] of Object.entries(changes)) {
      if (value === "" || value === null) state.delete(key);
      else state.set(key, value);
    }
    const url = `#${state}`;
    if (url === location.hash || (url === "#" && !location.hash)) return;
    if (replace) history.replaceState(null, "", url);
    else history.pushState(null, "", url);
    camcli.update();
  };

  // A link to other filters: those that are set stay, unless `only`.
  camcli.linkTo = (changes, only = true) => {
    const state = only ? new State() : camcli.readHash();
    for (const [key, value] of Object.entries(changes)) state.set(key, value);
    return `#${state}`;
  };

  const mark = (test) => camcli.settings.classes.map(test);

  // Classes that a user means: the one of that very name, else all whose name contains it.
  const classesLike = (text) => {
    if (!text) return null;
    const names = camcli.settings.classes;
    if (names.includes(text)) return mark((name) => name === text);
    const wanted = text.toLowerCase();
    return mark((name) => name.toLowerCase().includes(wanted));
  };

  const isTest = (kind) => {
    const { sides, change, similarity } = camcli.columns;
    const [a, b] = sides;
    const bad = (v) => v === ERROR || v === MISSING;
    const tests = {
      right: (i) => a.verdict[i] === RIGHT,
      wrong: (i) => a.verdict[i] === WRONG,
      unknown: (i) => a.verdict[i] === UNKNOWN,
      failed: (i) => a.verdict[i] === ERROR,
      empty: (i) => a.border[i] < 0 && !bad(a.verdict[i]),
    };
    if (b) {
      const judged = (i) => !bad(a.verdict[i]) && !bad(b.verdict[i]);
      const same = (i) => (a.positives[i] && b.positives[i]
        ? [...a.positives[i]].sort().join() === [...b.positives[i]].sort().join()
        : a.pred[i] === b.pred[i]);
      Object.assign(tests, {
        differs: (i) => judged(i) && !same(i),
        broken: (i) => change[i] === code("b"),
        fixed: (i) => change[i] === code("f"),
        relabelled: (i) => change[i] === code("l"),
        dropped: (i) => change[i] === code("d"),
        added: (i) => change[i] === code("a"),
        same: (i) => judged(i) && same(i),
        // The same answer, and not from the same place.
        reasons: (i) => judged(i) && same(i) && similarity[i] >= 0
          && similarity[i] < 100000 * camcli.settings.otherPlaces,
        only: (i) => !judged(i) && a.verdict[i] !== b.verdict[i],
      });
    }
    return camcli.own(tests, kind) || null;
  };

  // Whether a true class, or one of several labels, is among those that are marked.
  const isOf = (marked) => {
    const { label, labels } = camcli.columns;
    return (i) => (labels[i] ? labels[i].some((one) => marked[one])
      : label[i] >= 0 && marked[label[i]]);
  };
  const said = (marked, sides) => (i) => sides.some((side) => (side.positives[i]
    ? side.positives[i].some((one) => marked[one]) : side.pred[i] >= 0 && marked[side.pred[i]]));

  const textTest = (text) => {
    if (!text) return null;
    const { path, sides } = camcli.columns;
    const wanted = text.toLowerCase();
    const named = mark((name) => name.toLowerCase().includes(wanted));
    return (i) => path[i].toLowerCase().includes(wanted) || isOf(named)(i) || said(named, sides)(i);
  };

  // Of a value, from the least to the largest that is wanted; both count.
  const valueTest = (min, max) => {
    const low = Number.parseFloat(min), high = Number.parseFloat(max);
    if (!Number.isFinite(low) && !Number.isFinite(high)) return null;
    const { sides } = camcli.columns;
    return (i) => sides.some(({ number }) =>
      !Number.isNaN(number[i]) && !(number[i] < low) && !(number[i] > high));
  };

  const confidenceTest = (min, max) => {
    const share = (text, other) => {
      const value = Number.parseFloat(text);
      return Number.isFinite(value) ? Math.round(value * 1000) : other;
    };
    const low = share(min, -1), high = share(max, 100000);
    if (low < 0 && high >= 100000) return null;
    const { sides } = camcli.columns;
    return (i) => sides.some((side) =>
      side.pred[i] >= 0 && side.prob[i] >= low
      && (side.prob[i] < high || high >= 100000));
  };

  const similarityTest = (min, max) => {
    if (min === null && max === null) return null;
    const { similarity } = camcli.columns;
    const low = 100000 * Number(min || 0), high = max === null || max === "1"
      ? Infinity : 100000 * Number(max);
    return (i) => similarity[i] >= 0 && similarity[i] >= low && similarity[i] < high;
  };

  const pairTest = (from, to) => {
    if (from === null || to === null) return null;
    const [a, b] = camcli.columns.sides;
    const names = camcli.settings.classes;
    const x = names.indexOf(from), y = names.indexOf(to);
    return (i) => a.pred[i] === x && b && b.pred[i] === y;
  };

  // "20-40", "20-" or "20" for what is above, "-40", all in percent -> [20, 40]; null for what is
  // no range.
  camcli.percentRange = (text) => {
    const found = /^\s*(\d*\.?\d*)\s*%?\s*(?:[-–]\s*(\d*\.?\d*)\s*%?\s*)?$/.exec(text || "");
    if (!found || !(found[1] || found[2])) return null;
    return [Number(found[1] || 0), Number(found[2] || 100)];
  };

  // A filter by a share that every side has. key: in the URL; name: of the column; words: behind
  // "20 to 40%".
  camcli.shareFilter = (key, name, words) => ({
    keys: [key],
    test: (state) => {
      const range = camcli.percentRange(state.get(key));
      if (!range) return null;
      const [low, high] = range.map((percent) => Math.round(1000 * percent));
      const { sides } = camcli.columns;
      return (i) => sides.some(({ [name]: share }) =>
        share[i] >= 0 && share[i] >= low && (share[i] < high || high >= 100000));
    },
    says: (state) => {
      const range = camcli.percentRange(state.get(key));
      return range && `${range[0]} to ${range[1]}% ${words}`;
    },
  });

  const ORDERS = {
    unsure: () => (i) => confidence(i),
    sure: () => (i) => -confidence(i),
    low: () => (i) => camcli.columns.sides[0].number[i],
    high: () => (i) => -camcli.columns.sides[0].number[i],
    border: () => (i) => -camcli.columns.sides[0].border[i],
    path: () => (i) => camcli.columns.seq[i],
    moved: () => (i) => {
      const value = camcli.columns.similarity[i];
      return value < 0 ? Infinity : value;
    },
    shift: () => (i) => {
      const [a, b] = camcli.columns.sides;
      if (camcli.settings.values) return -Math.abs(a.number[i] - b.number[i]);
      return a.pred[i] < 0 || b.pred[i] < 0 ? Infinity : -Math.abs(a.prob[i] - b.prob[i]);
    },
  };
  // Failed images have no confidence and come last in both directions.
  const confidence = (i) => {
    const side = camcli.columns.sides[0];
    return side.pred[i] < 0 ? NaN : side.prob[i];
  };

  // Numbers of the rows to show, in order. Rows are stored in the default order.
  camcli.select = (state) => {
    const { sides } = camcli.columns;
    if (!sides) return new Uint32Array(0);
    const trueClass = classesLike(state.get("true"));
    const predicted = classesLike(state.get("pred"));
    const tests = [
      isTest(state.get("is")),
      trueClass && isOf(trueClass),
      predicted && said(predicted, sides),
      (camcli.settings.values ? valueTest : confidenceTest)(state.get("min"), state.get("max")),
      similarityTest(state.get("like"), state.get("unlike")),
      pairTest(state.get("from"), state.get("to")),
      textTest(state.get("q")),
      ...camcli.filters.map((filter) => filter.test(state)),
    ].filter(Boolean);
    const found = new Uint32Array(camcli.loaded);
    let count = 0;
    for (let i = 0; i < camcli.loaded; i++) {
      if (tests.every((test) => test(i))) found[count++] = i;
    }
    const ids = found.subarray(0, count);
    // What is alike comes with its own order, unless another is asked for.
    const sort = state.get("sort") || (state.get("near") ? "near" : "");
    const order = camcli.own({ ...ORDERS, ...camcli.orders }, sort);
    if (!order) return ids;
    const key = order();
    const keys = new Float64Array(camcli.loaded);
    for (const i of ids) {
      const value = key(i);
      keys[i] = Number.isNaN(value) ? Infinity : value;
    }
    return ids.sort((x, y) => (keys[x] < keys[y] ? -1 : keys[x] > keys[y] ? 1 : x - y));
  };
})();
