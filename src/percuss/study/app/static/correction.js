/* The last answer again, to be corrected with a reason; then back to where the reader was. */
(function (app) {
  "use strict";

  const by = (id) => document.getElementById(id);
  const STEP = 100;
  const PATIENCE = 50; // steps for which an answer on its way is waited for

  const pause = () => new Promise((resolve) => setTimeout(resolve, STEP));
  const CUT = "There is no connection at the moment. The answer can be corrected when it is back.";

  /* now: {standing}. queue, trial: of those files. keep(item): puts an answer into the queue. login(): asks for a code.
     done(): the way is free again. */
  function open(now, parts) {
    let busy = false;

    async function saved() {
      for (let step = 0; step < PATIENCE && parts.queue.waiting; step += 1) {
        await pause();
      }
      return !parts.queue.waiting;
    }

    /* True where the answer was shown. */
    async function show() {
      const found = (await saved()) ? await app.http.get("/trials/last") : null;
      if (!found || found.status !== 200) {
        if (found && found.status === 401) {
          parts.login();
        } else {
          app.status.notice(found ? app.http.said(found) : CUT);
        }
        return false;
      }
      const last = found.body;
      await app.questions.ready(last.task);
      const pictures = await app.loading.open().pictures(last.images);
      const sent = await parts.trial.ask(last, pictures, now.standing, last.answer);
      if (sent) {
        await parts.keep({ number: last.number, offline: navigator.onLine === false, sent: sent });
      }
      return true;
    }

    async function start() {
      if (busy || by("correct").hidden || now.stopped) {
        return;
      }
      busy = true;
      app.status.notice("");
      const kept = parts.trial.aside(); // its form takes no answer meanwhile
      let shown = false;
      try {
        shown = await show();
      } catch (error) {
        app.status.notice(error.offline ? CUT : error.message);
      }
      if (kept && !now.stopped) {
        await parts.trial.resume(kept);
      } else if (shown && !now.stopped) {
        app.pages.again();
      }
      busy = false;
      parts.done();
    }

    return {
      start: start,
      busy: () => busy,
      /* Resolves when no correction is under way. */
      over: async function () {
        while (busy) {
          await pause();
        }
      },
    };
  }

  app.correction = { open: open };
})((window.readerStudy = window.readerStudy || {}));
