/* The panel of keys, and which element a key is meant for. */
(function (app) {
  "use strict";

  const by = (id) => document.getElementById(id);

  /* True where the key belongs to a field that takes text or has keys of its own. */
  function taken(event) {
    const at = event.target;
    const name = at.tagName;
    if (event.key === "Escape") {
      return false;
    }
    if (name === "INPUT" && at.type === "range") { // a slider moves by these; whoever used it answers by the others
      return /^(?:Arrow\w+|Home|End|Page\w+)$/.test(event.key);
    }
    if (name === "TEXTAREA" || name === "SELECT" || (name === "INPUT" && at.type !== "radio" && at.type !== "checkbox")) {
      return true;
    }
    const own = (name === "BUTTON" || name === "SUMMARY" || name === "A") && (event.key === "Enter" || event.key === " ");
    return own || (name === "INPUT" && (event.key === " " || /^Arrow(Up|Down)$/.test(event.key)));
  }

  /* What a key says, letters small. Keyboards of other scripts say the letter at the same place of a Latin one. */
  function said(event) {
    const place = /^[^\u0000-\u024f]$/.test(event.key) && /^Key([A-Z])$/.exec(event.code || "");
    return place ? place[1].toLowerCase() : (event.key.length === 1 ? event.key.toLowerCase() : event.key);
  }

  /* Gives an element the focus, unless a panel lies over the page: whoever types there goes on typing. */
  function focus(element, options) {
    if (by("again").hidden && by("keys").hidden) {
      element.focus(options);
    }
  }

  function fill(rows) {
    const list = by("keys-list");
    list.textContent = "";
    rows.forEach(function (row) {
      const term = document.createElement("dt");
      const key = document.createElement("kbd");
      key.textContent = row[0];
      term.appendChild(key);
      const text = document.createElement("dd");
      text.textContent = row[1];
      list.appendChild(term);
      list.appendChild(text);
    });
  }

  /* Keeps Tab inside a panel that lies over the page. */
  function hold(panel) {
    panel.addEventListener("keydown", function (event) {
      if (event.key !== "Tab") {
        return;
      }
      const stops = Array.from(panel.querySelectorAll("button, input, textarea, a[href]")).filter((one) => one.offsetParent);
      const last = stops[stops.length - 1];
      if (event.shiftKey && document.activeElement === stops[0]) {
        event.preventDefault();
        last.focus();
      } else if (!event.shiftKey && document.activeElement === last) {
        event.preventDefault();
        stops[0].focus();
      }
    });
  }

  /* rows(): what the panel lists. */
  function open(rows) {
    let before = null;

    function close() {
      by("keys").hidden = true;
      if (before && before.focus) {
        before.focus();
      }
    }

    function show(event) {
      // After a click Enter is to save the answer, not to open this list again.
      before = event && event.detail ? by("question") : document.activeElement;
      fill(rows());
      by("keys").hidden = false;
      by("keys-close").focus();
    }

    by("help").addEventListener("click", show);
    by("keys-close").addEventListener("click", close);
    hold(by("keys"));
    return { show: show, close: close, shown: () => !by("keys").hidden };
  }

  app.keys = { open: open, taken: taken, said: said, hold: hold, focus: focus };
})((window.readerStudy = window.readerStudy || {}));
