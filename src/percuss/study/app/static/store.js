/* Keeps small records in the browser: IndexedDB, else localStorage, else (said so) memory only. */
(function (app) {
  "use strict";

  const NAME = "reader-study";
  const SHELF = "kept";
  const PATIENCE = 3000; // some browsers never answer when storage is blocked

  function asked(request) {
    return new Promise(function (resolve, reject) {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  }

  function opened() {
    return new Promise(function (resolve, reject) {
      setTimeout(() => reject(new Error("no answer from IndexedDB")), PATIENCE);
      const request = indexedDB.open(NAME, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(SHELF);
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
      request.onblocked = () => reject(new Error("IndexedDB is blocked"));
    });
  }

  function inDatabase(first) {
    let db = first;

    /* Some browsers drop the connection of a page that slept: then it is opened again, once. */
    async function again(act) {
      try {
        return await act();
      } catch (error) {
        db = await opened();
        return act();
      }
    }

    /* Resolves when the transaction is complete, that is when the record is on its way to the disk. */
    function write(change) {
      return new Promise(function (resolve, reject) {
        const transaction = db.transaction(SHELF, "readwrite", { durability: "strict" });
        transaction.oncomplete = () => resolve();
        transaction.onabort = () => reject(transaction.error);
        transaction.onerror = () => reject(transaction.error);
        change(transaction.objectStore(SHELF));
        if (transaction.commit) {
          transaction.commit(); // at once: a page that is left now would take a change along that is not committed
        }
      });
    }
    const shelf = () => db.transaction(SHELF, "readonly").objectStore(SHELF);
    return {
      lasting: true,
      get: (key) => again(() => asked(shelf().get(key))),
      set: (key, value) => again(() => write((to) => to.put(value, key))),
      remove: (key) => again(() => write((to) => to.delete(key))),
      keys: async function (prefix) {
        const all = await again(() => asked(shelf().getAllKeys()));
        return all.filter((key) => key.startsWith(prefix)).sort();
      },
    };
  }

  function inStrings(box, lasting) {
    const own = NAME + ":";
    return {
      lasting: lasting,
      get: async function (key) {
        const text = box.getItem(own + key);
        return text === null ? undefined : JSON.parse(text);
      },
      set: async (key, value) => box.setItem(own + key, JSON.stringify(value)),
      remove: async (key) => box.removeItem(own + key),
      keys: async function (prefix) {
        const found = [];
        for (let at = 0; at < box.length; at += 1) {
          if (box.key(at).startsWith(own + prefix)) {
            found.push(box.key(at).slice(own.length));
          }
        }
        return found.sort();
      },
    };
  }

  function memory() {
    const kept = new Map();
    return {
      get length() { return kept.size; },
      key: (at) => Array.from(kept.keys())[at],
      getItem: (key) => (kept.has(key) ? kept.get(key) : null),
      setItem: (key, text) => kept.set(key, text),
      removeItem: (key) => kept.delete(key),
    };
  }

  function localBox() {
    try {
      localStorage.setItem(NAME + ":try", "1");
      localStorage.removeItem(NAME + ":try");
      return localStorage;
    } catch (error) {
      return null;
    }
  }

  /* What a shelf has no room for stays in memory: reading goes on, and `lasting` says what it is worth. */
  function withSpare(shelf) {
    const box = memory();
    const spare = inStrings(box, false);
    return {
      get lasting() { return shelf.lasting && box.length === 0; },
      get: async function (key) {
        const kept = await spare.get(key);
        return kept === undefined ? shelf.get(key) : kept;
      },
      set: async function (key, value) {
        try {
          await shelf.set(key, value);
          await spare.remove(key);
        } catch (error) {
          await spare.set(key, value);
        }
      },
      remove: async function (key) {
        await spare.remove(key);
        await shelf.remove(key);
      },
      keys: async function (prefix) {
        const all = (await shelf.keys(prefix)).concat(await spare.keys(prefix));
        return Array.from(new Set(all)).sort();
      },
    };
  }

  async function open() {
    try {
      const kept = inDatabase(await opened());
      await kept.set("try", 1);
      await kept.remove("try");
      return withSpare(kept);
    } catch (error) {
      const box = localBox();
      return withSpare(inStrings(box || memory(), box !== null));
    }
  }

  app.store = { open: open, localBox: localBox };
})((window.readerStudy = window.readerStudy || {}));
