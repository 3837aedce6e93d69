/* The administrator's page: who is how far, and what can be done about it. No answers. */
(function (app) {
  "use strict";

  const by = (id) => document.getElementById(id);
  const EVERY = 30000;
  let doing = null;
  let before = null;

  const ACTS = {
    revoke: {
      title: (name) => "Revoke the access of " + name, button: "Revoke",
      text: "The code, the link and every log-in of this reader end at once. Their answers stay.",
    },
    renew: {
      title: (name) => "New code for " + name, button: "Make a new code",
      text: "The code and link so far, and every log-in, end at once. The reader goes on where they were.",
    },
    override: {
      title: (name) => "Open the next session of " + name + " now", button: "Open it now",
      text: "The wash-out is not over. This is listed as a deviation from the protocol.",
    },
    close: {
      title: () => "Close the study", button: "Close for good",
      text: "No answer is taken any more after this. It cannot be undone.",
    },
  };

  /* A cell names its column, for screens where a row is a list. */
  function cell(row, text, column) {
    const made = document.createElement(column ? "td" : "th");
    made.textContent = text;
    if (column) {
      made.setAttribute("data-column", column);
    } else {
      made.scope = "row";
    }
    row.appendChild(made);
    return made;
  }

  function when(iso) {
    return iso ? new Date(iso).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }) : "\u2013";
  }

  function button(holder, text, act, reader) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.setAttribute("data-act", act);
    made.addEventListener("click", () => ask(act, reader));
    holder.appendChild(made);
  }

  /* Rows are made anew, and whoever works by the keyboard stays where they were: at the same button of the same reader,
     else at the first one there, else at the button that looks again. */
  function keepingFocus(change) {
    const had = document.activeElement;
    const row = by("readers").contains(had) ? had.closest("tr").getAttribute("data-name") : null;
    change();
    if (row !== null) {
      const now = Array.from(by("readers").children).find((one) => one.getAttribute("data-name") === row);
      const buttons = now ? Array.from(now.querySelectorAll("button")) : [];
      const act = had.getAttribute("data-act");
      (buttons.find((one) => one.getAttribute("data-act") === act) || buttons[0] || by("refresh")).focus();
    }
  }

  function stateOf(reader) {
    if (reader.revoked) {
      return "Revoked";
    }
    if (reader.role === "administrator") {
      return "Administrator";
    }
    if (reader.total && reader.done >= reader.total) {
      return "Finished";
    }
    const waits = reader.washout_until || reader.opens;
    return waits ? "Wash-out until " + when(waits) : (reader.done ? "Reading" : "Not begun");
  }

  function line(reader, open) {
    const row = document.createElement("tr");
    row.setAttribute("data-name", reader.name);
    const reads = reader.role !== "administrator";
    cell(row, reader.name);
    const done = cell(row, reads ? reader.done + " of " + reader.total + " " : "\u2013", "Done");
    if (reads) {
      const bar = document.createElement("progress");
      bar.max = reader.total || 1;
      bar.value = reader.done;
      bar.setAttribute("aria-label", "Progress of " + reader.name);
      done.appendChild(bar);
    }
    cell(row, reads ? String(reader.session || "\u2013") + (reader.sessions ? " of " + reader.sessions : "") : "\u2013", "Session");
    cell(row, when(reader.last_saved), "Last answer");
    cell(row, stateOf(reader), "State");
    const acts = cell(row, "", "Actions");
    if (open && reads) {
      if (!reader.revoked) {
        button(acts, "Revoke \u2026", "revoke", reader);
      }
      button(acts, "New code \u2026", "renew", reader);
      if (reader.washout_until || reader.opens) {
        button(acts, "End wash-out \u2026", "override", reader);
      }
    }
    return row;
  }

  async function refresh() {
    try {
      const answer = await app.http.get("/admin/progress");
      if (answer.status === 401 || answer.status === 403) {
        location.replace("/");
        return;
      }
      const found = answer.body;
      const open = found.state !== "closed";
      const readers = found.readers.filter((reader) => reader.role !== "administrator");
      const done = readers.reduce((sum, reader) => sum + reader.done, 0);
      const total = readers.reduce((sum, reader) => sum + reader.total, 0);
      by("state").textContent = (open ? "The study is open. " : "The study is closed. ") + readers.length
        + (readers.length === 1 ? " reader, " : " readers, ") + done + " of " + total + " answers.";
      keepingFocus(function () {
        by("readers").textContent = "";
        found.readers.forEach((reader) => by("readers").appendChild(line(reader, open)));
      });
      if (!open && by("closing").contains(document.activeElement)) {
        by("refresh").focus();
      }
      by("closing").hidden = !open;
      by("status").textContent = "As of " + new Date().toLocaleTimeString("en-GB");
    } catch (error) {
      by("status").textContent = "The server does not answer";
    }
  }

  function ask(act, reader) {
    doing = { act: act, reader: reader };
    before = document.activeElement;
    by("act-title").textContent = ACTS[act].title(reader ? reader.name : "");
    by("act-text").textContent = ACTS[act].text;
    by("act-do").textContent = ACTS[act].button;
    by("act-reason").value = "";
    by("act-problem").textContent = "";
    by("act-form").hidden = false;
    by("act-result").hidden = true;
    by("act").hidden = false;
    by("act-reason").focus();
  }

  function done() {
    by("act").hidden = true;
    by("act-code").textContent = "";
    by("act-link").textContent = "";
    if (before && document.contains(before)) {
      before.focus();
    }
    refresh();
  }

  function bodyOf() {
    const body = { reason: by("act-reason").value.trim() };
    if (doing.reader) {
      body.name = doing.reader.name;
    }
    if (doing.act === "override") {
      body.session = doing.reader.next_session || doing.reader.session;
    }
    return body;
  }

  async function send(event) {
    event.preventDefault();
    if (!by("act-reason").value.trim()) {
      by("act-problem").textContent = "Please give a reason.";
      by("act-reason").focus();
      return;
    }
    by("act-do").disabled = true;
    try {
      const answer = await app.http.post("/admin/" + doing.act, bodyOf());
      if (answer.status >= 300) {
        by("act-problem").textContent = app.http.said(answer);
      } else if (doing.act === "renew") {
        by("act-form").hidden = true;
        by("act-result").hidden = false;
        by("act-code").textContent = answer.body.code;
        by("act-link").textContent = answer.body.link.startsWith("/") ? location.origin + answer.body.link : answer.body.link;
        by("act-done").focus();
      } else {
        done();
      }
    } catch (error) {
      by("act-problem").textContent = "The server does not answer. Please try again in a while.";
    }
    by("act-do").disabled = false;
  }

  async function token() {
    const answer = await app.http.get("/standing");
    app.http.setToken(answer.body.csrf || "");
    return answer.status === 200;
  }

  by("refresh").addEventListener("click", refresh);
  by("close").addEventListener("click", () => ask("close", null));
  by("act-form").addEventListener("submit", send);
  app.keys.hold(by("act"));
  by("act-cancel").addEventListener("click", done);
  by("act-done").addEventListener("click", done);
  by("logout").addEventListener("click", async function () {
    await app.http.post("/logout").catch(() => null);
    location.replace("/");
  });
  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape" && !by("act").hidden && by("act-result").hidden) {
      done();
    }
  });
  app.http.onStale(token);
  token().catch(() => null).then(refresh);
  setInterval(function () {
    if (!document.hidden && by("act").hidden) {
      refresh();
    }
  }, EVERY);
})((window.readerStudy = window.readerStudy || {}));
