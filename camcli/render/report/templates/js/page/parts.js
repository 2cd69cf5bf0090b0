// Parts of a page that only one of its tabs needs: what an audit found, or the places of a map.
// They lie in data/NAME.js and are loaded when they are first asked for.
"use strict";

(() => {
  const parts = new Map();
  const asked = new Map();

  // Called by data/NAME.js.
  camcli.part = (name, value) => { parts.set(name, value); };

  // How many are here: when one arrives, what is selected may change.
  camcli.partsHere = () => parts.size;
  camcli.partHere = (name) => parts.has(name);

  // Whether the page has it at all.
  camcli.hasPart = (name) => camcli.settings.parts.includes(name);

  // The value of a part, as a promise; null where the page has none.
  camcli.loadPart = (name) => {
    if (!camcli.hasPart(name)) return Promise.resolve(null);
    if (parts.has(name)) return Promise.resolve(parts.get(name));
    if (!asked.has(name)) {
      asked.set(name, camcli.loadScript(name).then(() => {
        camcli.update({ more: true }); // filters that waited for it
        camcli.refillGallery();
        camcli.refillView();
        return parts.get(name);
      }));
    }
    return asked.get(name);
  };

  // The value now, or null while it is on its way: the page is drawn again when it arrives.
  camcli.partNow = (name) => {
    if (!parts.has(name) && camcli.hasPart(name)) camcli.loadPart(name);
    return parts.get(name) ?? null;
  };
})();
