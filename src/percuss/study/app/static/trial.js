/* One trial: its pictures, its form, the clock, and the answer when it is given. */
(function (app) {
  "use strict";

  const by = (id) => document.getElementById(id);
  const ROOM = 40; // CSS pixels around what is scrolled to: the line above a list of choices is seen too
  const MISSING = { label: "Please choose a diagnosis.", seen: "Please say whether you remember the case." };

  /* store: for drafts. */
  function open(store) {
    const flat = app.viewer.open(by("stage"), refresh);
    const tiled = app.tiles.open(by("stage"), refresh);
    let viewer = flat;
    let now = null; // {trial, standing, pictures, clock, resolve, correcting}
    const tools = app.tools.open(() => viewer);

    function refresh() {
      tools.refresh();
    }

    /* The chosen option of each field looks chosen, also in browsers without a selector for it. */
    function mark() {
      Array.from(by("form").querySelectorAll(".option")).forEach(function (option) {
        option.classList.toggle("chosen", option.querySelector("input").checked);
      });
    }

    /* What a key has chosen comes into sight where the form scrolls by itself, beside the image; below it the image would
       go out of sight instead. */
    function look(name) {
      const form = by("form");
      const chosen = form.querySelector('input[name="' + name + '"]:checked');
      if (chosen && getComputedStyle(form).overflowY === "auto") {
        const box = chosen.parentNode.getBoundingClientRect();
        const over = form.getBoundingClientRect().top - box.top;
        const under = box.bottom - form.querySelector(".ending").getBoundingClientRect().top;
        form.scrollTop += over > 0 ? -over - ROOM : Math.max(0, under + ROOM);
      }
    }

    const draftKey = (trial) => "draft:" + trial.trial;

    function keepDraft() {
      if (now && !now.correcting) {
        store.set(draftKey(now.trial), app.questions.draft(by("form"), now.trial.task, now.standing)).catch(() => null);
      }
    }

    function prepare(trial, standing, correcting) {
      const form = by("form");
      app.questions.build(by("fields"), trial.task, standing);
      mark();
      form.elements.comment.value = "";
      form.elements.reason.value = "";
      by("remark").open = false;
      by("why").hidden = !correcting;
      by("cancel").hidden = !correcting;
      by("problem").textContent = "";
      by("question").textContent = correcting ? "Your last answer, to be corrected" : "Image " + trial.number + " of " + standing.total;
      by("page").hidden = true;
      by("trial").hidden = false;
      by("trial").className = "task-" + trial.task;
      form.scrollTop = 0;
      window.scrollTo(0, 0); // on a phone the form is below the image, which is to be seen first
      by("save").firstChild.textContent = correcting ? "Save the correction " : "Save and go on ";
    }

    async function paint(pictures) {
      const next = pictures[0].tiles ? tiled : flat;
      viewer.clear();
      viewer = next;
      tools.of(pictures[0]);
      await viewer.show(pictures);
      await app.timing.painted();
    }

    /* Shows a trial whose pictures are loaded; resolves with the answer, or null where a correction is left. */
    async function ask(trial, pictures, standing, before) {
      const correcting = Boolean(before);
      const draft = correcting ? before : await store.get(draftKey(trial)).catch(() => undefined);
      prepare(trial, standing, correcting);
      if (draft) {
        app.questions.fill(by("form"), trial.task, standing, draft);
        by("remark").open = Boolean(draft.comment);
        mark();
      }
      await paint(pictures);
      return new Promise(function (resolve) {
        now = {
          trial: trial, standing: standing, pictures: pictures, clock: app.timing.begin(), resolve: resolve,
          correcting: correcting,
        };
        app.keys.focus(by("question"), { preventScroll: true });
        by("trial").setAttribute("data-ready", String(trial.number));
      });
    }

    function shown() {
      const view = viewer.state();
      return Object.assign(now.clock.read(), {
        screen: [screen.width, screen.height],
        view: [window.innerWidth, window.innerHeight],
        pixel_ratio: window.devicePixelRatio || 1,
        zoom_first: view.zoom_first, zoom_last: view.zoom_last, zoom_most: view.zoom_most,
        level: view.level, width: view.width,
        client_time: new Date().toISOString(),
        sha256: now.pictures.map((picture) => picture.sha256).filter(Boolean),
      });
    }

    function end(result) {
      const done = now;
      now = null;
      done.clock.stop();
      by("trial").removeAttribute("data-ready");
      done.resolve(result);
    }

    function submit() {
      if (!now) {
        return;
      }
      const read = app.questions.read(by("form"), now.trial.task, now.standing);
      const reason = by("form").elements.reason.value.trim();
      if (read.missing) {
        by("problem").textContent = MISSING[read.missing.name] || "Please choose: " + read.missing.legend;
        by("form").querySelector('input[name="' + read.missing.name + '"]').focus();
        return;
      }
      if (now.correcting && !reason) {
        by("problem").textContent = "Please say why the answer is corrected.";
        by("reason").focus();
        return;
      }
      end({ id: app.queue.newId(), trial: now.trial.trial, answer: read.answer, shown: shown(), reason: now.correcting ? reason : "" });
    }

    function keyed(event) {
      if (!now || event.ctrlKey || event.altKey || event.metaKey) {
        return false;
      }
      const found = app.questions.keyed(event, now.trial.task, now.standing);
      if (found) {
        app.questions.choose(by("form"), found.name, found.value);
        by("problem").textContent = "";
        mark();
        look(found.name);
        keepDraft();
      } else if (event.key === "Enter") {
        if (!event.repeat) {
          submit();
        }
      } else if (app.keys.said(event) === "c" && !event.shiftKey) {
        by("remark").open = true;
        by("comment").focus();
      } else if (event.key === "Escape") {
        if (document.activeElement && document.activeElement.blur) {
          document.activeElement.blur();
        }
      } else {
        return tools.keyed(event);
      }
      return true;
    }

    by("form").addEventListener("submit", function (event) {
      event.preventDefault();
      submit();
    });
    by("form").addEventListener("change", function () {
      mark();
      by("problem").textContent = "";
      keepDraft();
    });
    by("form").addEventListener("input", keepDraft);
    by("cancel").addEventListener("click", () => now && now.correcting && end(null));

    return {
      ask: ask,
      keyed: keyed,
      /* The trial on view is set aside: its clock runs on, as time away. Gives what brings it back. */
      aside: function () {
        const kept = now;
        if (kept) {
          kept.clock.leave();
          kept.draft = app.questions.draft(by("form"), kept.trial.task, kept.standing);
          by("trial").removeAttribute("data-ready");
          now = null;
        }
        return kept;
      },
      resume: async function (kept) {
        prepare(kept.trial, kept.standing, false);
        app.questions.fill(by("form"), kept.trial.task, kept.standing, kept.draft);
        by("remark").open = Boolean(kept.draft.comment);
        mark();
        await paint(kept.pictures);
        now = kept;
        kept.clock.back();
        app.keys.focus(by("question"), { preventScroll: true });
        by("trial").setAttribute("data-ready", String(kept.trial.number));
      },
      forget: (trial) => store.remove(draftKey({ trial: trial })).catch(() => null),
      get on() { return now !== null; },
      get task() { return now && now.trial.task; },
      get deep() { return viewer.deep(); },
    };
  }

  app.trial = { open: open };
})((window.readerStudy = window.readerStudy || {}));
