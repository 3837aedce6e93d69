/* From native levels to the 256 greys of a screen: a window of levels, and inversion. */
(function (app) {
  "use strict";

  /* The grey of every level, 0 to `levels`. level: middle of the window, width: its breadth, both in native levels.
     Levels at or below level - width / 2 are black, at or above level + width / 2 white. */
  function table(levels, level, width, inverted) {
    const greys = new Uint8ClampedArray(levels + 1);
    const low = level - width / 2;
    for (let at = 0; at <= levels; at += 1) {
      const grey = Math.round((255 * (at - low)) / width);
      greys[at] = inverted ? 255 - Math.min(255, Math.max(0, grey)) : grey;
    }
    return greys;
  }

  /* Draws a decoded picture through a table of greys onto a canvas of the picture's own size. */
  function paint(canvas, picture, greys) {
    canvas.width = picture.width;
    canvas.height = picture.height;
    const context = canvas.getContext("2d");
    const image = context.createImageData(picture.width, picture.height);
    const words = new Uint32Array(image.data.buffer);
    const last = greys.length - 1;
    const data = picture.data;
    if (picture.channels === 1) {
      const grey = new Uint32Array(last + 1);
      for (let at = 0; at <= last; at += 1) {
        grey[at] = (255 << 24) | (greys[at] * 0x010101);
      }
      for (let at = 0; at < words.length; at += 1) {
        words[at] = grey[data[at] > last ? last : data[at]];
      }
    } else {
      for (let at = 0, from = 0; at < image.data.length; at += 4, from += 3) {
        image.data[at] = greys[Math.min(last, data[from])];
        image.data[at + 1] = greys[Math.min(last, data[from + 1])];
        image.data[at + 2] = greys[Math.min(last, data[from + 2])];
        image.data[at + 3] = 255;
      }
    }
    context.putImageData(image, 0, 0);
  }

  /* The whole range of a picture's levels as a window. */
  function whole(levels) {
    return { level: levels / 2, width: levels };
  }

  /* The window from the least to the largest level that is there, over all pictures. */
  function spread(pictures) {
    let low = Infinity;
    let high = -Infinity;
    pictures.forEach(function (picture) {
      for (let at = 0; at < picture.data.length; at += 1) {
        low = Math.min(low, picture.data[at]);
        high = Math.max(high, picture.data[at]);
      }
    });
    return { level: (low + high) / 2, width: Math.max(1, high - low) };
  }

  app.grey = { table: table, paint: paint, whole: whole, spread: spread };
})((window.readerStudy = window.readerStudy || {}));
