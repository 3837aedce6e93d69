/* Where OpenSeadragon gets the tiles of a picture: fetched and read by our own decoder, painted through the window of
   levels when they are drawn. */
(function (app) {
  "use strict";

  const AGAIN = 3000;

  /* The part of a padded tile that shows something. */
  function cropped(picture, width, height) {
    if (picture.width === width && picture.height === height) {
      return picture;
    }
    const row = width * picture.channels;
    const data = new picture.data.constructor(row * height);
    for (let y = 0; y < height; y += 1) {
      const from = y * picture.width * picture.channels;
      data.set(picture.data.subarray(from, from + row), y * row);
    }
    return Object.assign({}, picture, { width: width, height: height, data: data });
  }

  /* The bytes of a tile; where nobody answers it is asked for again, until it is not wanted any more. */
  async function tileBytes(job) {
    for (;;) {
      try {
        return await app.http.bytes(job.src);
      } catch (error) {
        if (!error.offline || job.userData.stopped) {
          throw error;
        }
        await new Promise((resolve) => setTimeout(resolve, AGAIN));
      }
    }
  }

  function sourceOf(image, greys) {
    const top = image.tiles.levels - 1;
    const sizeAt = (level) => ({
      width: Math.ceil(image.width / Math.pow(2, top - level)), height: Math.ceil(image.height / Math.pow(2, top - level)),
    });
    return {
      width: image.width, height: image.height, tileSize: image.tiles.size, minLevel: 0, maxLevel: top,
      tileOverlap: 1e-9, // tiles without any are drawn a pixel larger than they are, which would stretch them
      getTileUrl: (level, x, y) => image.url + "/tiles/" + level + "/" + x + "/" + y,
      downloadTileStart: function (job) {
        const parts = job.src.split("/").slice(-3).map(Number);
        const size = sizeAt(parts[0]);
        const width = Math.min(image.tiles.size, size.width - parts[1] * image.tiles.size);
        const height = Math.min(image.tiles.size, size.height - parts[2] * image.tiles.size);
        tileBytes(job)
          .then((bytes) => job.finish(cropped(app.png.decode(bytes), width, height), null, "native"))
          .catch((error) => job.finish(null, null, error.message));
      },
      downloadTileAbort: function (job) { job.userData.stopped = true; },
      createTileCache: function (cache, data) { cache._data = { picture: data, canvas: null, greys: null }; },
      destroyTileCache: function (cache) { cache._data = null; },
      getTileCacheData: (cache) => cache._data,
      getTileCacheDataAsImage: function () { return null; },
      getTileCacheDataAsContext2D: function (cache) {
        const kept = cache._data;
        const map = greys();
        if (kept.greys !== map) {
          kept.canvas = kept.canvas || document.createElement("canvas");
          app.grey.paint(kept.canvas, kept.picture, map);
          kept.greys = map;
        }
        return kept.canvas.getContext("2d");
      },
    };
  }

  app.tileSource = { of: sourceOf };
})((window.readerStudy = window.readerStudy || {}));
