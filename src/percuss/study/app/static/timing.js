/* How long an answer took, and for how long the page was not looked at. All in milliseconds. */
(function (app) {
  "use strict";

  const TICK = 1000;
  const ASLEEP = 5000; // a tick so late while the page is in view: the machine slept

  function begin() {
    const now = () => performance.now();
    const started = now();
    let losses = 0;
    let lost = 0;
    let since = null;
    let ticked = Date.now();

    function leave() {
      if (since === null) {
        since = now();
        losses += 1;
      }
    }

    function back() {
      if (since !== null) {
        lost += now() - since;
        since = null;
      }
    }

    function look() {
      if (document.hidden) {
        leave();
      } else if (document.hasFocus()) {
        back();
      }
    }

    const timer = setInterval(function () {
      const late = Date.now() - ticked - TICK;
      ticked = Date.now();
      if (late > ASLEEP && since === null && !document.hidden) {
        losses += 1;
        lost += Math.min(late, now() - started - lost);
      }
    }, TICK);
    window.addEventListener("blur", leave);
    window.addEventListener("focus", look);
    document.addEventListener("visibilitychange", look);
    if (document.hidden || !document.hasFocus()) {
      leave();
    }

    return {
      leave: leave,
      back: back,
      read: function () {
        const away = lost + (since === null ? 0 : now() - since);
        return {
          reaction_ms: Math.round(10 * (now() - started)) / 10,
          focus_losses: losses,
          focus_lost_ms: Math.max(0, Math.round(10 * away) / 10),
        };
      },
      stop: function () {
        clearInterval(timer);
        window.removeEventListener("blur", leave);
        window.removeEventListener("focus", look);
        document.removeEventListener("visibilitychange", look);
      },
    };
  }

  /* Resolves when what was drawn before the call has been painted. */
  function painted() {
    return new Promise(function (resolve) {
      if (document.hidden) {
        setTimeout(resolve, 0); // a hidden page paints nothing; the clock then counts it as not looked at
        return;
      }
      requestAnimationFrame(() => requestAnimationFrame(() => resolve()));
    });
  }

  app.timing = { begin: begin, painted: painted };
})((window.readerStudy = window.readerStudy || {}));
