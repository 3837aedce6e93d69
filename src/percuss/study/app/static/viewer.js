/* Shows one picture, or two side by side that zoom and move together. */
(function (app) {
  "use strict";

  const SIDES = ["Left image", "Right image"];

  /* stage: the element that holds the panes. changed(): the view is not as it was. */
  function open(stage, changed) {
    const steps = app.pane.STEPS;
    let panes = [];
    let pictures = [];
    let start = null; // the window to go back to
    let view = null;

    function greys() {
      return app.grey.table(view.levels, view.level, view.width, view.inverted);
    }

    function draw() {
      panes.forEach((pane) => pane.draw(steps[view.step], { x: view.x, y: view.y }));
    }

    function recolour() {
      const map = greys();
      panes.forEach((pane, at) => pane.show(pictures[at], map));
      draw();
      changed();
    }

    function fit() {
      view.step = app.pane.fitting(pictures[0], panes[0].size());
      view.x = pictures[0].width / 2;
      view.y = pictures[0].height / 2;
      view.moved = false;
    }

    function clear() {
      panes.forEach((pane) => pane.close());
      panes = [];
      pictures = [];
      view = null;
    }

    /* shown: decoded pictures, left first; each with levels, and level and window of the first view. */
    function show(shown) {
      clear();
      pictures = shown;
      const first = shown[0];
      const whole = app.grey.whole(first.levels);
      start = { level: first.level === undefined ? whole.level : first.level, width: first.window || whole.width };
      view = { levels: first.levels, level: start.level, width: start.width, inverted: false };
      stage.classList.toggle("two", shown.length === 2);
      panes = shown.map((picture, at) => app.pane.open(stage, shown.length === 2 ? SIDES[at] : ""));
      panes.forEach(function (pane) {
        app.pointer.listen(pane.canvas, { move: move, zoom: zoom, window: drag });
      });
      fit();
      view.first = steps[view.step];
      view.most = view.first;
      recolour();
    }

    function keepInside() {
      view.x = Math.min(pictures[0].width, Math.max(0, view.x));
      view.y = Math.min(pictures[0].height, Math.max(0, view.y));
    }

    /* x, y: CSS pixels from the middle of the pane; the image point there stays where it is. */
    function zoom(by, x, y) {
      const next = Math.min(steps.length - 1, Math.max(0, view.step + by));
      const ratio = window.devicePixelRatio || 1;
      const gain = ratio / steps[view.step] - ratio / steps[next];
      view.x += (x || 0) * gain;
      view.y += (y || 0) * gain;
      view.step = next;
      view.moved = true;
      view.most = Math.max(view.most, steps[next]);
      keepInside();
      draw();
      changed();
    }

    function move(dx, dy) {
      const ratio = window.devicePixelRatio || 1;
      view.x -= (dx * ratio) / steps[view.step];
      view.y -= (dy * ratio) / steps[view.step];
      view.moved = true;
      keepInside();
      draw();
    }

    function setWindow(level, width) {
      view.width = Math.min(2 * view.levels, Math.max(1, width));
      view.level = Math.min(view.levels, Math.max(0, level));
      recolour();
    }

    function drag(dx, dy) {
      if (deep()) {
        const step = view.levels / 512;
        setWindow(view.level + dy * step, view.width + dx * step);
      }
    }

    const deep = () => view !== null && view.levels > 255;

    function resized() {
      if (view) {
        if (!view.moved) {
          fit();
        }
        draw();
        changed();
      }
    }

    window.addEventListener("resize", resized);
    if (window.ResizeObserver) {
      new ResizeObserver(resized).observe(stage);
    }

    return {
      show: show,
      clear: clear,
      zoom: zoom,
      move: move,
      setWindow: setWindow,
      deep: deep,
      fit: function () {
        fit();
        draw();
        changed();
      },
      whole: () => setWindow(view.levels / 2, view.levels),
      spread: function () {
        const found = app.grey.spread(pictures);
        setWindow(found.level, found.width);
      },
      single: function () {
        view.step = steps.indexOf(1);
        view.moved = true;
        view.most = Math.max(view.most, 1);
        draw();
        changed();
      },
      invert: function () {
        view.inverted = !view.inverted;
        recolour();
      },
      reset: function () {
        fit();
        view.level = start.level;
        view.width = start.width;
        view.inverted = false;
        recolour();
      },
      /* What is to be recorded, and what the tools show. */
      state: function () {
        const now = steps[view.step];
        return {
          zoom_first: view.first, zoom_last: now, zoom_most: view.most,
          level: deep() ? view.level : null, width: deep() ? view.width : null,
          inverted: view.inverted, levels: view.levels,
        };
      },
      get on() { return view !== null; },
    };
  }

  app.viewer = { open: open };
})((window.readerStudy = window.readerStudy || {}));
