/* Which trial comes next: from those that are known already, else from the server, however long it does not answer. */
(function (app) {
  "use strict";

  const by = (id) => document.getElementById(id);
  const AGAIN = 5000;
  const SOON = 200; // an answer on its way to the server is waited for so long before it is said

  /* now: {standing, answered, current, stopped}. ask: {queue, take(standing), login(), busy()}. */
  function open(now, ask) {
    const plan = new Map(); // trials known so far, by number
    const loading = app.loading.open();
    let waker = null;

    const numbers = () => Array.from(plan.keys()).sort((a, b) => a - b);
    const waits = () => by("again").hidden && !ask.busy(); // no log-in is asked for, nothing is being corrected

    function wake() {
      if (waker) {
        waker();
        waker = null;
      }
    }

    function woken(time) {
      return new Promise(function (resolve) {
        waker = resolve;
        setTimeout(resolve, time || AGAIN);
      });
    }

    function holdOn(text) {
      if (waits()) {
        app.pages.show({ title: "Waiting for the connection", text: [text], still: true });
      }
    }

    function learn(found) {
      [found].concat(found.ahead || []).forEach(function (one) {
        if (one.number > now.answered) {
          plan.set(one.number, one);
        }
      });
      numbers().filter((number) => number <= now.answered && number !== now.current).forEach((old) => plan.delete(old));
      loading.keep(numbers().map((number) => plan.get(number)));
    }

    /* True where the server named a trial; false where there is none now. */
    async function refresh() {
      const answer = await app.http.get("/trials/next");
      if (answer.status === 401) {
        ask.login();
        return true;
      }
      if (answer.body.standing) {
        ask.take(answer.body.standing);
      }
      if (answer.status === 200) {
        await app.questions.ready(answer.body.task); // those ahead are of the same task
        learn(answer.body);
      }
      return answer.status === 200;
    }

    /* The next trial, or null where a page is to be shown instead. */
    async function next() {
      for (let first = true; !now.stopped; first = false) {
        if (now.answered && plan.has(now.answered + 1) && now.standing.phase === "reading") {
          return plan.get(now.answered + 1);
        }
        try {
          await ask.queue.flush();
          if (!ask.queue.waiting) {
            if (!(await refresh())) {
              return null;
            }
            if (plan.size && waits()) {
              return plan.get(numbers()[0]);
            }
          }
        } catch (error) {
          if (!error.offline) {
            throw error;
          }
        }
        if (first) {
          await woken(SOON);
          continue;
        }
        holdOn(ask.queue.waiting
          ? "No further image is loaded yet. What you have answered is kept in this browser, and is sent as soon as the "
            + "server answers. Then it goes on by itself."
          : "The server does not answer at the moment. It goes on by itself as soon as it does.");
        await woken();
      }
      return null;
    }

    /* The decoded pictures of a trial; waits for the connection where they are not here yet. */
    async function pictures(trial) {
      for (;;) {
        try {
          return await loading.pictures(trial.images);
        } catch (error) {
          if (error.status === 401) {
            ask.login();
          } else if (!error.offline) {
            throw error;
          }
          holdOn("The image could not be loaded yet. It goes on by itself as soon as the server answers.");
          await woken();
        }
      }
    }

    window.addEventListener("online", wake);
    return {
      next: next,
      pictures: pictures,
      wake: wake,
      /* Looks for trials ahead, where few are known. */
      top_up: function () {
        if (plan.size < 3 && now.standing.phase === "reading") {
          refresh().catch(() => null);
        }
      },
      done: (number) => plan.delete(number),
    };
  }

  app.upcoming = { open: open, AGAIN: AGAIN };
})((window.readerStudy = window.readerStudy || {}));
