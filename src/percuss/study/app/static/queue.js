/* Answers on their way: kept in the browser before they are sent, sent in order, removed only when the server says that
   they are saved. One answer has one id, however often it is sent: the server counts it once. */
(function (app) {
  "use strict";

  const SHORTEST = 1000;
  const LONGEST = 30000;

  /* A random id in the form of a UUID, version 4. */
  function newId() {
    if (window.crypto && crypto.randomUUID) {
      return crypto.randomUUID();
    }
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    const hex = Array.from(bytes, (value) => value.toString(16).padStart(2, "0")).join("");
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  }

  /* store: of store.js. owner: whose answers. told: {saved(body, item), changed(state), login(), refused(item, answer)};
     refused may be a promise; it says true where the answer is to be kept. */
  function open(store, owner, told) {
    const prefix = "answer:" + owner + ":";
    let busy = false;
    let paused = false;
    let timer = null;
    let wait = SHORTEST;
    let state = "idle";
    let waiting = 0;

    async function count() {
      waiting = (await store.keys(prefix)).length;
      return waiting;
    }

    function say(word) {
      state = word;
      told.changed(state, waiting);
    }

    async function add(item) {
      const keys = await store.keys(prefix);
      const last = keys.length ? Number(keys[keys.length - 1].slice(prefix.length)) : 0;
      const key = prefix + String(Math.max(Date.now(), last + 1)).padStart(16, "0");
      await store.set(key, Object.assign({ tries: 0, offline: false }, item));
      await count();
      say("sending");
      flush();
    }

    function later() {
      clearTimeout(timer);
      timer = setTimeout(flush, wait * (0.75 + Math.random() / 2));
      wait = Math.min(LONGEST, 2 * wait);
      say("waiting");
    }

    async function attempt(key) {
      const item = await store.get(key);
      item.tries += 1;
      await store.set(key, item);
      const shown = Object.assign({}, item.sent.shown, { tries: item.tries, offline: item.offline });
      try {
        return { item: item, answer: await app.http.post("/answers", Object.assign({}, item.sent, { shown: shown })) };
      } catch (error) {
        item.offline = true;
        await store.set(key, item);
        return null;
      }
    }

    /* True where the next answer may be sent. */
    async function settle(key, result) {
      const status = result ? result.answer.status : 0;
      if (status === 200) {
        await store.remove(key);
        await count();
        wait = SHORTEST;
        told.saved(result.answer.body, result.item);
        return true;
      }
      if (status === 401) {
        paused = true;
        say("login");
        told.login();
        return false;
      }
      if (status === 422 && !result.item.bare) {
        // Perhaps a browser told something odd of itself: what was shown decides nothing, the answer must not hang on it.
        result.item.bare = true;
        result.item.sent.shown = {};
        await store.set(key, result.item);
        return true;
      }
      if (status >= 400 && status < 500 && status !== 429 && status !== 408) {
        paused = true;
        if (!(await told.refused(result.item, result.answer))) {
          await store.set("refused:" + owner + ":" + result.item.sent.id, result.item);
          await store.remove(key);
          await count();
          paused = false;
          return true;
        }
        say("refused");
        return false;
      }
      later();
      return false;
    }

    async function flush() {
      if (busy || paused) {
        return;
      }
      busy = true;
      clearTimeout(timer);
      try {
        let keys = await store.keys(prefix);
        waiting = keys.length;
        while (keys.length) {
          if (state !== "waiting") {
            say("sending");
          }
          if (!(await settle(keys[0], await attempt(keys[0])))) {
            return;
          }
          keys = await store.keys(prefix);
        }
        say("idle");
      } finally {
        busy = false;
      }
    }

    window.addEventListener("online", function () {
      wait = SHORTEST;
      flush();
    });
    document.addEventListener("visibilitychange", function () {
      if (!document.hidden) {
        flush();
      }
    });

    return {
      add: add,
      flush: flush,
      count: count,
      pause: function () { paused = true; },
      resume: function () {
        paused = false;
        wait = SHORTEST;
        return flush();
      },
      get state() { return state; },
      get waiting() { return waiting; },
    };
  }

  app.queue = { open: open, newId: newId };
})((window.readerStudy = window.readerStudy || {}));
