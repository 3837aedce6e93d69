/* The bar below the image: zoom, window of levels, inversion. It works on whichever viewer is in use. */
(function (app) {
  "use strict";

  const by = (id) => document.getElementById(id);
  const WIDER = 1.15;

  function zoomText(zoom) {
    const whole = (value) => String(Math.round(100 * value) / 100);
    return zoom >= 1 ? whole(zoom) + " : 1" : "1 : " + whole(1 / zoom);
  }

  /* viewer(): the viewer in use. */
  function open(viewer) {
    let picture = null; // what levels mean: low, high, levels, unit

    function value(level) {
      if (picture.low === undefined || picture.high === undefined || picture.low === null || picture.high === null) {
        return String(Math.round(level));
      }
      const real = picture.low + (level / picture.levels) * (picture.high - picture.low);
      return Math.abs(real) >= 100 ? String(Math.round(real)) : String(Number(real.toPrecision(3)));
    }

    function extent(width) {
      const scale = picture.low === undefined || picture.low === null ? 1 : (picture.high - picture.low) / picture.levels;
      const real = width * scale;
      return Math.abs(real) >= 100 ? String(Math.round(real)) : String(Number(real.toPrecision(3)));
    }

    function refresh() {
      if (!viewer().on) {
        return;
      }
      const state = viewer().state();
      by("zoom").textContent = zoomText(state.zoom_last);
      by("zoom").classList.toggle("less", state.zoom_last < 1);
      by("zoom").title = state.zoom_last < 1
        ? "Smaller than true pixels: not every pixel of the image can be seen"
        : "Screen pixels for one image pixel";
      by("invert").setAttribute("aria-pressed", String(state.inverted));
      if (viewer().deep()) {
        const unit = picture.unit && picture.unit.length < 9 ? " " + picture.unit : "";
        by("level").max = state.levels;
        by("width").max = 2 * state.levels;
        by("level").value = state.level;
        by("width").value = state.width;
        by("level-out").textContent = value(state.level) + unit;
        by("width-out").textContent = extent(state.width) + unit;
        by("level").setAttribute("aria-valuetext", by("level-out").textContent);
        by("width").setAttribute("aria-valuetext", by("width-out").textContent);
      }
    }

    function shift(levels, factor) {
      const state = viewer().state();
      viewer().setWindow(state.level + levels * state.levels, state.width * factor);
    }

    const acts = {
      "zoom-in": () => viewer().zoom(1), "zoom-out": () => viewer().zoom(-1), fit: () => viewer().fit(),
      single: () => viewer().single(), invert: () => viewer().invert(), reset: () => viewer().reset(),
      whole: () => viewer().whole(), spread: () => viewer().spread(),
    };
    Object.keys(acts).forEach((id) => by(id).addEventListener("click", function (event) {
      acts[id]();
      if (event.detail) { // by the mouse: Enter then saves the answer, and does not press this button again
        by("question").focus();
      }
    }));
    const slide = () => viewer().setWindow(Number(by("level").value), Number(by("width").value));
    by("level").addEventListener("input", slide);
    by("width").addEventListener("input", slide);

    /* True where the key was one of the viewer's. */
    function keyed(event) {
      const key = app.keys.said(event);
      const step = 60;
      const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
      if (event.shiftKey && moves[event.key]) {
        viewer().move(moves[event.key][0], moves[event.key][1]);
        return true;
      }
      const plain = {
        "+": acts["zoom-in"], "=": acts["zoom-in"], "-": acts["zoom-out"], "0": acts.fit, i: acts.invert, r: acts.reset,
      };
      const deep = { w: () => shift(0, event.shiftKey ? WIDER : 1 / WIDER), l: () => shift(event.shiftKey ? 0.02 : -0.02, 1) };
      const act = (/^(Digit|Numpad)[1-9]$/.test(event.code || "") ? null : plain[key]) || (viewer().deep() ? deep[key] : null);
      if (act) {
        act();
      }
      return Boolean(act);
    }

    return {
      refresh: refresh,
      keyed: keyed,
      of: function (shown) {
        picture = shown;
        by("window").hidden = shown.levels <= 255; // before the image is drawn: it changes the room for it
        by("spread").hidden = Boolean(shown.tiles);
        refresh();
      },
    };
  }

  const KEYS = [
    ["+ and \u2212", "larger, smaller"], ["0", "the whole image"], ["Shift + arrows", "move the image (or drag it)"],
    ["I", "invert"], ["R", "view as at first"],
  ];
  const DEEP = [["W, Shift + W", "window narrower, wider"], ["L, Shift + L", "level lower, higher (or drag with the right button)"]];

  app.tools = { open: open, KEYS: KEYS, DEEP: DEEP };
})((window.readerStudy = window.readerStudy || {}));
