/* The page where a code is entered, and the page behind a personal link. */
(function (app) {
  "use strict";

  const by = (id) => document.getElementById(id);

  function problem(answer) {
    if (answer.status === 429) {
      const wait = Number(answer.headers.get("Retry-After")) || 60;
      return "There were too many attempts. Please wait " + Math.ceil(wait / 60) + " minute(s), then try again.";
    }
    if (answer.status === 401) {
      return by("code")
        ? "This code is not known. Please look at it again: 16 letters and digits."
        : "This link is not known, or not valid any more. Please ask for a new one.";
    }
    return app.http.said(answer);
  }

  async function enter(event) {
    event.preventDefault();
    const form = by("entry");
    const secret = by("code") ? by("code").value.trim() : form.getAttribute("data-secret");
    if (!secret) {
      by("problem").textContent = "Please enter your code.";
      by("code").focus();
      return;
    }
    by("begin").disabled = true;
    by("problem").textContent = "";
    try {
      const answer = await app.http.post("/login", { secret: secret });
      if (answer.status === 200) {
        location.replace(answer.body.role === "administrator" ? "/admin" : "/read");
        return;
      }
      by("problem").textContent = problem(answer);
    } catch (error) {
      by("problem").textContent = "The server does not answer. Please try again in a while.";
    }
    by("begin").disabled = false;
    (by("code") || by("begin")).focus();
  }

  by("entry").addEventListener("submit", enter);
  by("begin").disabled = false; // before this the browser would have sent the form itself, the code in the address
  if (!by("code")) {
    by("begin").focus();
  }
})((window.readerStudy = window.readerStudy || {}));
