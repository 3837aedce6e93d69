/* A code asked for again over the page, when the log-in has ended in the middle. */
(function (app) {
  "use strict";

  const by = (id) => document.getElementById(id);

  /* name: who was logged in. back(): logged in again. other(): somebody else is. */
  function open(name, back, other) {
    app.keys.hold(by("again"));
    by("again-form").addEventListener("submit", async function (event) {
      event.preventDefault();
      by("again-problem").textContent = "";
      try {
        const answer = await app.http.post("/login", { secret: by("again-code").value.trim() });
        if (answer.status !== 200) {
          by("again-problem").textContent = answer.status === 429
            ? "There were too many attempts. Please wait a minute, then try again."
            : "This code is not known. Please look at it again.";
          return;
        }
        app.http.setToken(answer.body.csrf);
        by("again").hidden = true;
        by("again-code").value = "";
        (by("trial").hidden ? by("page") : by("question")).focus();
        if (answer.body.name === name()) {
          back();
        } else {
          other();
        }
      } catch (error) {
        by("again-problem").textContent = "There is no connection at the moment. Please try again in a while.";
      }
    });
    return {
      show: function () {
        if (by("again").hidden) {
          by("again").hidden = false;
          by("again-code").focus();
        }
      },
    };
  }

  app.login = { open: open };
})((window.readerStudy = window.readerStudy || {}));
