/* A large picture, in tiles, by OpenSeadragon; the tiles are read by our own decoder, so levels stay native. */
(function (app) {
  "use strict";

  const PATIENCE = 24 * 60 * 60 * 1000;
  const SIDES = ["Left image", "Right image"];

  function library() {
    if (window.OpenSeadragon) {
      return Promise.resolve(window.OpenSeadragon);
    }
    return new Promise(function (resolve, reject) {
      const script = document.createElement("script");
      script.src = "/static/openseadragon.min.js";
      script.onload = () => resolve(window.OpenSeadragon);
      script.onerror = () => reject(new Error("the viewer of large images could not be loaded"));
      document.head.appendChild(script);
    });
  }

  /* Device pixels per image pixel: below 1 halves, so that a pixel of a level of tiles is one of the screen. */
  const HALVES = [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1].map((power) => Math.pow(2, -power));
  const STEPS = HALVES.concat(app.pane.STEPS.filter((step) => step >= 1));

  function wholeStep(zoom, by) {
    let best = 0;
    STEPS.forEach(function (step, at) {
      if (Math.abs(Math.log(step / zoom)) < Math.abs(Math.log(STEPS[best] / zoom))) {
        best = at;
      }
    });
    return STEPS[Math.min(STEPS.length - 1, Math.max(0, best + by))];
  }

  /* Same calls as viewer.js. */
  function open(stage, changed) {
    let panes = [];
    let images = [];
    let view = null;
    let start = null;
    let map = null;
    let linking = false;
    let moved = false;

    const ratio = () => window.devicePixelRatio || 1;
    const main = () => panes[0].seadragon;
    const exactZoom = () => main().viewport.viewportToImageZoom(main().viewport.getZoom(true)) * ratio();
    const zoomNow = () => Number(exactZoom().toPrecision(6));

    function follow(from) {
      if (linking || panes.length < 2) {
        return;
      }
      linking = true;
      panes.forEach(function (pane) {
        if (pane.seadragon !== from) {
          pane.seadragon.viewport.zoomTo(from.viewport.getZoom(), null, true);
          pane.seadragon.viewport.panTo(from.viewport.getCenter(), true);
        }
      });
      linking = false;
    }

    /* Says while tiles of the view are on their way: until they are here coarser ones stand in for them. */
    function tell() {
      const whole = panes.every((pane) => pane.seadragon.world.getItemAt(0).getFullyLoaded());
      stage.setAttribute("aria-busy", String(!whole));
    }

    function openPane(Seadragon, made, image) {
      app.pane.onWholePixels(made);
      return new Promise(function (resolve, reject) {
        const seadragon = new Seadragon.Viewer({
          element: made.shown, tileSources: app.tileSource.of(image, () => map), showNavigationControl: false,
          imageSmoothingEnabled: false, animationTime: 0, springStiffness: 20, blendTime: 0, alwaysBlend: false,
          maxZoomPixelRatio: 64, minZoomImageRatio: 0.01, visibilityRatio: 0.1, immediateRender: false,
          minPixelRatio: 0.75, // takes the level of tiles whose pixels are the screen's
          gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: false, scrollToZoom: false },
          gestureSettingsTouch: { flickEnabled: false }, tabIndex: "", timeout: PATIENCE,
          preserveImageSizeOnResize: true,
        });
        made.seadragon = seadragon;
        seadragon.innerTracker.keyHandler = null;
        seadragon.innerTracker.keyDownHandler = null;
        seadragon.addHandler("open", () => resolve(made));
        seadragon.addHandler("open-failed", (event) => reject(new Error(event.message)));
        seadragon.addHandler("viewport-change", function () {
          follow(seadragon);
          if (view) {
            view.most = Math.max(view.most, zoomNow());
            changed();
          }
        });
        seadragon.addHandler("canvas-scroll", function (event) {
          event.preventDefault = true;
          const box = made.shown.getBoundingClientRect();
          zoom(event.scroll > 0 ? 1 : -1, event.position.x - box.width / 2, event.position.y - box.height / 2);
        });
        seadragon.addHandler("canvas-drag-end", function () {
          moved = true;
          align();
        });
        seadragon.addHandler("after-resize", () => setTimeout(resized, 0)); // it has more to do then
      });
    }

    function settled(seadragon) {
      return new Promise(function (resolve, reject) {
        const item = seadragon.world.getItemAt(0);
        seadragon.addHandler("tile-load-failed", () => reject(new Error("a part of the image could not be loaded")));
        if (item.getFullyLoaded()) {
          resolve();
        } else {
          item.addHandler("fully-loaded-change", () => resolve());
        }
      });
    }

    function recolour() {
      map = app.grey.table(view.levels, view.level, view.width, view.inverted);
      panes.forEach((pane) => pane.seadragon.forceRedraw());
      changed();
    }

    function fit() {
      moved = false;
      panes.forEach((pane) => pane.seadragon.viewport.goHome(true));
      zoomTo(wholeStep(zoomNow(), zoomNow() < wholeStep(zoomNow(), 0) ? -1 : 0));
    }

    /* Moves the image by less than a pixel, so that its pixels lie on those of the screen. */
    function align() {
      const viewport = main().viewport;
      const corner = viewport.pixelFromPoint(viewport.imageToViewportCoordinates(0, 0), true);
      const off = (value) => Math.round(value * ratio()) / ratio() - value;
      const by = new window.OpenSeadragon.Point(-off(corner.x), -off(corner.y));
      viewport.panBy(viewport.deltaPointsFromPixels(by, true), true);
      follow(main());
    }

    function resized() {
      if (view) {
        if (moved) {
          zoomTo(wholeStep(zoomNow(), 0));
        } else {
          fit();
        }
        changed();
      }
    }

    function zoomTo(step, point) {
      const viewport = main().viewport;
      viewport.zoomTo(viewport.imageToViewportZoom(step / ratio()), point || null, true);
      align();
    }

    function zoom(by, x, y) {
      moved = true;
      const viewport = main().viewport;
      const Point = window.OpenSeadragon.Point;
      const size = viewport.getContainerSize();
      zoomTo(wholeStep(zoomNow(), by), viewport.pointFromPixel(
        new Point(size.x / 2 + (x || 0), size.y / 2 + (y || 0)), true
      ));
    }

    function setWindow(level, width) {
      view.width = Math.min(2 * view.levels, Math.max(1, width));
      view.level = Math.min(view.levels, Math.max(0, level));
      recolour();
    }

    function clear() {
      panes.forEach(function (pane) {
        pane.seadragon.destroy();
        pane.element.remove();
      });
      panes = [];
      view = null;
      stage.removeAttribute("aria-busy");
    }

    /* shown: the images as the server describes them. Resolves when all tiles of the first view are there. */
    async function show(shown) {
      const Seadragon = await library();
      clear();
      images = shown;
      const first = shown[0];
      const whole = app.grey.whole(first.levels);
      start = { level: first.level === undefined ? whole.level : first.level, width: first.window || whole.width };
      map = app.grey.table(first.levels, start.level, start.width, false);
      stage.classList.toggle("two", shown.length === 2);
      const frames = shown.map((image, at) => app.pane.frame(stage, shown.length === 2 ? SIDES[at] : "", "div"));
      panes = await Promise.all(frames.map((made, at) => openPane(Seadragon, made, shown[at])));
      fit();
      stage.classList.add("loading"); // nothing is seen before the clock can start
      try {
        await Promise.all(panes.map((pane) => settled(pane.seadragon)));
      } finally {
        stage.classList.remove("loading");
      }
      panes.forEach((pane) => pane.seadragon.world.getItemAt(0).addHandler("fully-loaded-change", tell));
      tell();
      view = { levels: first.levels, level: start.level, width: start.width, inverted: false, first: zoomNow(), most: 0 };
      view.most = view.first;
      changed();
    }

    const place = () => panes.forEach(app.pane.onWholePixels);
    window.addEventListener("resize", place);
    if (window.ResizeObserver) {
      new ResizeObserver(place).observe(stage);
    }

    const deep = () => view !== null && view.levels > 255;

    return {
      show: show, clear: clear, zoom: zoom, fit: fit, setWindow: setWindow, deep: deep,
      move: function (dx, dy) {
        moved = true;
        const viewport = main().viewport;
        viewport.panBy(viewport.deltaPointsFromPixels(new window.OpenSeadragon.Point(-dx, -dy), true), true);
        viewport.applyConstraints(true);
        align();
      },
      whole: () => setWindow(view.levels / 2, view.levels),
      spread: () => setWindow(view.levels / 2, view.levels), // the levels of all tiles are not known
      single: function () {
        moved = true;
        zoomTo(1);
      },
      invert: function () {
        view.inverted = !view.inverted;
        recolour();
      },
      reset: function () {
        fit();
        view.inverted = false;
        setWindow(start.level, start.width);
      },
      state: () => ({
        zoom_first: view.first, zoom_last: zoomNow(), zoom_most: view.most,
        level: deep() ? view.level : null, width: deep() ? view.width : null,
        inverted: view.inverted, levels: view.levels,
      }),
      get on() { return view !== null; },
    };
  }

  app.tiles = { open: open };
})((window.readerStudy = window.readerStudy || {}));
