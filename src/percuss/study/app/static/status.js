/* The line at the top: how far the reader is, and whether the last answer is saved. */
(function (app) {
  "use strict";

  const by = (id) => document.getElementById(id);

  function notice(text) {
    if (by("notice").textContent !== text) { // what is said already is not read out again
      by("notice").textContent = text;
      by("notice").hidden = !text;
    }
  }

  /* state: of the queue; waiting: answers in it; any: an answer was given since the page was loaded. */
  function saving(state, waiting, any) {
    const many = waiting === 1 ? "1 answer" : waiting + " answers";
    const words = {
      idle: any ? "Saved" : "",
      sending: "Saving …",
      waiting: many + " kept here, waiting for the connection",
      login: many + " kept here until you have logged in again",
      refused: many + " kept here",
    };
    by("status").textContent = words[state];
    by("status").className = "status " + state;
    by("correct").disabled = state !== "idle";
  }

  /* now: {standing, answered, current}. */
  function progress(now) {
    const total = now.standing.total;
    const done = Math.max(now.standing.done, now.answered);
    by("progress").hidden = !total;
    by("count").textContent = (now.current ? "Image " + now.current : done + " done") + " of " + total;
    by("bar").max = total || 1;
    by("bar").value = done;
    by("correct").hidden = !now.standing.last_number || now.standing.phase === "closed";
  }

  app.status = { notice: notice, saving: saving, progress: progress };
})((window.readerStudy = window.readerStudy || {}));
