/* One picture on one canvas, each of its pixels on a whole number of the screen's, without any smoothing. */
(function (app) {
  "use strict";

  /* Device pixels per image pixel. Below 1 only every 2nd, 3rd, ... pixel is shown. */
  const STEPS = [1 / 16, 1 / 12, 1 / 8, 1 / 6, 1 / 5, 1 / 4, 1 / 3, 1 / 2, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 48];

  /* Index of the largest step at which the picture lies within a box of device pixels. */
  function fitting(picture, box) {
    const room = Math.min(box.width / picture.width, box.height / picture.height);
    let best = 0;
    STEPS.forEach(function (step, at) {
      if (step <= room + 1e-9) {
        best = at;
      }
    });
    return best;
  }

  /* The whole device pixels within an element: where they begin in it (a part of a pixel), and how many there are. */
  function devicePixels(element) {
    const ratio = window.devicePixelRatio || 1;
    const grid = ratio === Math.round(ratio) ? ratio : 1; // browsers place elements on CSS pixels where these are whole
    const box = element.getBoundingClientRect();
    const to = (value, round) => grid * round((value * ratio) / grid);
    const before = (value) => to(value - 0.01, Math.ceil) - value * ratio;
    const left = before(box.left);
    const top = before(box.top);
    return {
      left: left, top: top, ratio: ratio,
      width: Math.max(1, to(box.width - left / ratio + 0.01, Math.floor)),
      height: Math.max(1, to(box.height - top / ratio + 0.01, Math.floor)),
    };
  }

  /* A pane with what shows its picture, an element of the given kind, and its caption where it has one. */
  function frame(holder, label, kind) {
    const element = document.createElement("div");
    element.className = "pane";
    const shown = document.createElement(kind);
    shown.className = "picture";
    shown.setAttribute("role", "img");
    shown.setAttribute("aria-label", label || "The image");
    element.appendChild(shown);
    if (label) {
      const caption = document.createElement("p");
      caption.className = "side";
      caption.textContent = label;
      element.appendChild(caption);
    }
    holder.appendChild(element);
    return { element: element, shown: shown };
  }

  /* Puts what shows a picture on pixels of the screen that are whole ones of the page too, for a viewer that counts in
     the page's. Panes of one size stay of one size. */
  function onWholePixels(made) {
    const ratio = window.devicePixelRatio || 1;
    const unit = ratio === Math.round(ratio) ? ratio : 1;
    let grid = 1; // pixels of the page
    while (grid < 20 && Math.abs(grid * ratio - Math.round(grid * ratio)) > 1e-5) {
      grid += 1;
    }
    const style = made.shown.style;
    style.left = "0";
    style.top = "0";
    const room = made.element.getBoundingClientRect();
    const box = made.shown.getBoundingClientRect();
    const before = (at) => (Math.ceil((at * ratio) / unit - 0.01) * unit) / ratio - at + "px";
    const whole = (length) => Math.max(grid, grid * Math.floor((length - unit / ratio - 1) / grid)) + "px";
    style.left = before(box.left);
    style.top = before(box.top);
    style.width = whole(room.width);
    style.height = whole(room.height);
  }

  function open(holder, label) {
    const made = frame(holder, label, "canvas");
    const element = made.element;
    const canvas = made.shown;
    const source = document.createElement("canvas");
    let picture = null;

    /* middle: the image point (in image pixels) at the middle of the pane. */
    function draw(zoom, middle) {
      const size = devicePixels(element);
      if (canvas.width !== size.width || canvas.height !== size.height) {
        canvas.width = size.width;
        canvas.height = size.height;
      }
      // Never stretched and never between pixels: the browser shows one pixel of the canvas on one of the screen, also
      // where the page is scaled by 125 or 150 %.
      canvas.style.left = size.left / size.ratio + "px";
      canvas.style.top = size.top / size.ratio + "px";
      canvas.style.width = size.width / size.ratio + "px";
      canvas.style.height = size.height / size.ratio + "px";
      const context = canvas.getContext("2d");
      context.clearRect(0, 0, size.width, size.height);
      context.imageSmoothingEnabled = false;
      const left = Math.round(size.width / 2 - middle.x * zoom);
      const top = Math.round(size.height / 2 - middle.y * zoom);
      const first = { x: Math.max(0, Math.floor(-left / zoom)), y: Math.max(0, Math.floor(-top / zoom)) };
      if (zoom < 1) { // the same pixels are left out wherever the picture is moved to
        first.x -= first.x % Math.round(1 / zoom);
        first.y -= first.y % Math.round(1 / zoom);
      }
      const wide = Math.min(picture.width - first.x, Math.ceil(size.width / zoom) + 2);
      const high = Math.min(picture.height - first.y, Math.ceil(size.height / zoom) + 2);
      if (wide > 0 && high > 0) {
        context.drawImage(
          source, first.x, first.y, wide, high, left + first.x * zoom, top + first.y * zoom, wide * zoom, high * zoom
        );
      }
    }

    return {
      element: element,
      canvas: canvas,
      draw: draw,
      size: () => devicePixels(element),
      show: function (next, greys) {
        picture = next;
        app.grey.paint(source, picture, greys);
      },
      close: () => element.remove(),
    };
  }

  app.pane = { open: open, frame: frame, onWholePixels: onWholePixels, fitting: fitting, STEPS: STEPS };
})((window.readerStudy = window.readerStudy || {}));
