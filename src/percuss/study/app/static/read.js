/* The reading page: what comes after what, and what happens to each answer. */
(function (app) {
  "use strict";

  const by = (id) => document.getElementById(id);
  const DAY = 24 * 60 * 60 * 1000;
  const UNKEPT = "This browser keeps nothing over a closed page: please wait for \u201cSaved\u201d before closing.";

  /* current: number of the trial on view, 0 for none; answered: the last one answered here; stopped: another tab or
     another reader is at work. */
  const now = { standing: null, answered: 0, current: 0, stopped: false };
  let protocol = null; // amendments in force when labels and title were told last
  let store = null;
  let queue = null;
  let tabs = null;
  let trial = null;
  let keys = null;
  let login = null;
  let upcoming = null;
  let between = null;
  let running = false;
  let any = false;
  let correction = null;
  let timer = null;

  const owner = () => now.standing.study + ":" + now.standing.name;
  const pause = (time) => new Promise((resolve) => setTimeout(resolve, time));

  function take(standing) {
    now.standing = Object.assign({}, now.standing, standing);
    if (standing.csrf) {
      app.http.setToken(standing.csrf);
    }
    app.status.progress(now);
  }

  function askLogin() {
    queue.pause();
    login.show();
  }

  function stop(content) {
    now.stopped = true;
    queue.pause();
    trial.aside();
    app.pages.show(content);
  }

  function lostTab() {
    stop(app.pages.otherTab(function () {
      tabs.take();
      location.reload();
    }));
  }

  /* Asks who and where we are. True where it is still the same reader. */
  async function look() {
    const answer = await app.http.get("/standing");
    if (answer.status === 401) {
      askLogin();
    } else if (answer.status === 200 && answer.body.name !== now.standing.name) {
      stop(app.pages.otherReader(() => location.replace("/")));
    } else if (answer.status === 200) {
      take(answer.body);
      protocol = answer.body.protocol;
      return true;
    }
    return false;
  }

  /* Between two trials: what an amendment changed. Without a connection it goes on as before. */
  async function amended() {
    if (now.standing.protocol !== protocol && (await look().catch(() => false))) {
      document.title = now.standing.title;
      by("name").textContent = now.standing.title;
    }
  }

  function ending() {
    clearTimeout(timer);
    app.status.progress(now);
    app.pages.ending(now.standing, run);
    if (now.standing.phase === "washout") {
      const left = new Date(now.standing.opens) - app.http.time();
      timer = left < DAY ? setTimeout(run, Math.max(0, left) + 1000) : null;
    }
  }

  /* Keeps an answer in the browser; it is on its way from then on. */
  async function keep(item) {
    any = true;
    for (;;) {
      try {
        await queue.add(item);
        app.status.notice(store.lasting ? "" : UNKEPT);
        return;
      } catch (error) {
        app.status.notice("This browser could not keep your answer (" + error.message
          + "). Please leave this page open; it is tried again.");
        await pause(app.upcoming.AGAIN);
      }
    }
  }

  async function one(next) {
    const pictures = await upcoming.pictures(next);
    await correction.over();
    if (now.stopped) {
      return;
    }
    now.current = next.number;
    app.status.progress(now);
    const sent = await trial.ask(next, pictures, now.standing, null);
    await keep({ number: next.number, offline: navigator.onLine === false, sent: sent });
    now.answered = next.number;
    now.current = 0;
    between.counted();
    upcoming.done(next.number);
    trial.forget(next.trial);
    app.status.progress(now);
  }

  async function run() {
    if (running || now.stopped || correction.busy()) {
      return;
    }
    running = true;
    try {
      while (!now.stopped) {
        const next = await upcoming.next();
        if (next === null) {
          if (!now.stopped) {
            ending();
          }
          return;
        }
        await correction.over();
        await amended();
        await between.before(next);
        await one(next);
      }
    } catch (error) {
      stop({
        title: "Something went wrong", text: [error.message + ".", "Your answers are safe. Please load the page again."],
        button: "Load the page again", act: () => location.reload(),
      });
    } finally {
      running = false;
    }
  }

  const told = {
    changed: function (state, waiting) {
      app.status.saving(state, waiting, any);
      if (state === "idle") {
        upcoming.wake();
      }
    },
    saved: function (body) {
      any = true;
      take(body.standing);
      upcoming.top_up();
    },
    login: askLogin,
    /* True keeps the answer in the queue. */
    refused: async function (item, answer) {
      try {
        if (!(await look())) {
          return true;
        }
      } catch (error) {
        setTimeout(queue.resume, app.upcoming.AGAIN);
        return true;
      }
      stop(app.pages.notTaken(item.number, app.http.said(answer), () => location.reload()));
      return false;
    },
  };

  const startCorrection = () => correction && correction.start();

  async function leave() {
    if (queue && queue.waiting) {
      app.status.notice("Not all answers are saved yet. They stay in this browser; please log out when they are saved.");
      return;
    }
    await app.http.post("/logout").catch(() => null);
    location.replace("/");
  }

  function rows() {
    const task = trial && trial.task ? app.questions.TASKS[trial.task].keys : [];
    const seen = now.standing && now.standing.ask_seen ? [["Y or N", "seen before or not"]] : [];
    const deep = trial && trial.on && trial.deep ? app.tools.DEEP : [];
    return task.concat(seen, [["Enter", "save and go on"], ["C", "comment (Esc leaves it)"]], app.tools.KEYS, deep,
      [["U", "correct the last answer"], ["?", "this list"]]);
  }

  function onKey(event) {
    if (keys.shown()) {
      if (event.key === "Escape" || event.key === "?") {
        event.preventDefault();
        keys.close();
      }
    } else if (by("again").hidden && !app.keys.taken(event) && !event.ctrlKey && !event.altKey && !event.metaKey) {
      if (event.key === "?") {
        event.preventDefault();
        keys.show();
      } else if (app.keys.said(event) === "u") {
        startCorrection();
      } else if (trial && trial.keyed(event)) {
        event.preventDefault();
      }
    }
  }

  async function firstStanding() {
    for (;;) {
      try {
        const answer = await app.http.get("/standing");
        if (answer.status === 200) {
          now.standing = answer.body;
          protocol = answer.body.protocol;
          take(answer.body);
          return true;
        }
        if (answer.status === 401) {
          location.replace("/");
        } else {
          const again = () => location.reload();
          app.pages.show({ title: "This does not open", text: [app.http.said(answer)], button: "Try again", act: again });
        }
        return false;
      } catch (error) {
        app.pages.show({
          title: "Waiting for the connection",
          text: ["The server does not answer at the moment. It goes on by itself as soon as it does."], still: true,
        });
        await pause(app.upcoming.AGAIN);
      }
    }
  }

  function assemble() {
    queue = app.queue.open(store, owner(), told);
    trial = app.trial.open(store);
    upcoming = app.upcoming.open(now, { queue: queue, take: take, login: askLogin, busy: () => correction.busy() });
    correction = app.correction.open(now, {
      queue: queue, trial: trial, keep: keep, login: askLogin, done: upcoming.wake,
    });
    between = app.between.open(now, store, owner);
    login = app.login.open(
      () => now.standing.name,
      () => look().then((same) => same && queue.resume()).then(upcoming.wake),
      () => location.reload()
    );
    app.http.onStale(look);
    tabs = app.tabs.open(owner(), lostTab);
    window.addEventListener("beforeunload", function (event) {
      if (queue.waiting && !store.lasting) {
        event.preventDefault();
        event.returnValue = "";
      }
    });
  }

  async function begin() {
    keys = app.keys.open(rows);
    document.addEventListener("keydown", onKey);
    by("correct").addEventListener("click", startCorrection);
    by("logout").addEventListener("click", leave);
    store = await app.store.open();
    if (!(await firstStanding())) {
      return;
    }
    assemble();
    if (!tabs.ask()) {
      lostTab();
      return;
    }
    if (!store.lasting) {
      app.status.notice(UNKEPT);
    }
    any = (await queue.count()) > 0;
    run();
  }

  begin();
})((window.readerStudy = window.readerStudy || {}));
