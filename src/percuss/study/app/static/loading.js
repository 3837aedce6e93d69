/* Fetches and decodes the pictures of trials ahead of their turn, each once. */
(function (app) {
  "use strict";

  async function sha256(bytes) {
    if (!window.crypto || !crypto.subtle) {
      return ""; // browsers offer it on https and on this very machine only
    }
    try {
      const sum = await crypto.subtle.digest("SHA-256", bytes);
      return Array.from(new Uint8Array(sum), (value) => value.toString(16).padStart(2, "0")).join("");
    } catch (error) {
      return "";
    }
  }

  function open() {
    const kept = new Map(); // token of an image to the promise of its picture

    async function fetched(image) {
      if (image.tiles) {
        return Object.assign({ sha256: "" }, image);
      }
      const bytes = await app.http.bytes(image.url);
      const sum = await sha256(bytes);
      return Object.assign({}, image, app.png.decode(bytes), { sha256: sum });
    }

    function picture(image) {
      if (!kept.has(image.token)) {
        const promise = fetched(image);
        promise.catch(() => kept.delete(image.token));
        kept.set(image.token, promise);
      }
      return kept.get(image.token);
    }

    const pictures = (images) => Promise.all(images.map(picture));

    return {
      pictures: pictures,
      /* Keeps the pictures of these trials, fetches what is not there yet, forgets the rest. */
      keep: function (trials) {
        const wanted = new Set();
        trials.forEach((trial) => trial.images.forEach((image) => wanted.add(image.token)));
        Array.from(kept.keys()).forEach(function (token) {
          if (!wanted.has(token)) {
            kept.delete(token);
          }
        });
        trials.reduce((before, trial) => before.then(() => pictures(trial.images)), Promise.resolve()).catch(() => null);
      },
    };
  }

  app.loading = { open: open };
})((window.readerStudy = window.readerStudy || {}));
