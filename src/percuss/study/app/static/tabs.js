/* One tab at a time: two tabs of one reader would show two trials and answer one of them twice. */
(function (app) {
  "use strict";

  const BEAT = 2000;
  const STALE = 7000;

  /* lost(): another tab has taken over. Where nothing can be kept, every tab is alone. */
  function open(owner, lost) {
    const box = app.store.localBox();
    const key = "reader-study:tab:" + owner;
    const me = app.queue.newId();
    let timer = null;

    function read(text) {
      try {
        return JSON.parse(text);
      } catch (error) {
        return null;
      }
    }

    const holder = () => read(box.getItem(key));

    function beat() {
      const other = holder();
      if (other && other.tab !== me) {
        drop();
        lost();
        return;
      }
      box.setItem(key, JSON.stringify({ tab: me, time: Date.now() }));
    }

    function drop() {
      clearInterval(timer);
      timer = null;
    }

    function take() {
      if (box) {
        box.setItem(key, JSON.stringify({ tab: me, time: Date.now() }));
        drop();
        timer = setInterval(beat, BEAT);
      }
    }

    /* True where no other tab is at work; then this one is. */
    function ask() {
      const other = box && holder();
      const free = !other || other.tab === me || Math.abs(Date.now() - other.time) > STALE;
      if (free) {
        take();
      }
      return free;
    }

    if (box) {
      window.addEventListener("storage", function (event) {
        if (event.key === key && timer !== null) {
          // What was written then, not what is there now: the other tab loads itself again and is gone for a moment.
          const other = read(event.newValue);
          if (other && other.tab !== me) {
            drop();
            lost();
          }
        }
      });
      window.addEventListener("pagehide", function () {
        const other = holder();
        if (timer !== null && other && other.tab === me) {
          box.removeItem(key);
        }
        drop();
      });
      window.addEventListener("pageshow", function (event) {
        if (event.persisted) {
          location.reload(); // back from the browser's memory of pages: ask the server where we are
        }
      });
    }
    return { ask: ask, take: take, mine: () => !box || timer !== null };
  }

  app.tabs = { open: open };
})((window.readerStudy = window.readerStudy || {}));
