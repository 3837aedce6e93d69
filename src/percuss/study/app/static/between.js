/* What comes before a trial: the display check of a log-in, the instructions of a task, a break. */
(function (app) {
  "use strict";

  const RESTLESS = 15 * 60 * 1000; // a break is offered after so long
  const LEAST = 10; // and never before so many trials, or after so many cases as a round has

  /* now: {standing}. owner(): whose notes these are. */
  function open(now, store, owner) {
    let restedAt = Date.now();
    let sinceRest = 0;
    let looked = false;

    function rested() {
      restedAt = Date.now();
      sinceRest = 0;
    }

    async function display() {
      const key = "display:" + owner();
      const mark = (now.standing.csrf || "").slice(-8); // another log-in has another token
      if (looked || (await store.get(key).catch(() => undefined)) === mark) {
        return;
      }
      const said = await app.display.ask();
      looked = true;
      const answer = await app.http.post("/display", said).catch(() => null);
      if (answer && answer.status === 204) {
        await store.set(key, mark).catch(() => null);
      }
      rested();
    }

    async function before(trial) {
      const intro = "intro:" + owner() + ":" + trial.session + ":" + trial.task;
      await display();
      if (!(await store.get(intro).catch(() => 1))) {
        await app.pages.instructions(trial, now.standing);
        await store.set(intro, 1).catch(() => null);
        rested();
        return;
      }
      const round = now.standing.round && (trial.number - 1) % now.standing.round === 0;
      if (sinceRest && ((round && sinceRest >= LEAST) || Date.now() - restedAt > RESTLESS)) {
        await app.pages.rest(trial.number - 1, now.standing.total);
        rested();
      }
    }

    return { before: before, counted: function () { sinceRest += 1; } };
  }

  app.between = { open: open };
})((window.readerStudy = window.readerStudy || {}));
