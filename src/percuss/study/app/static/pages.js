/* The pages between trials: a heading, some text, and at most one button. */
(function (app) {
  "use strict";

  const by = (id) => document.getElementById(id);
  const element = (name, kind, text) => app.questions.element(name, kind, text);

  /* Shows the page in place of a trial. content: {title, text: [..], extra: element, button, act, second, secondAct}. */
  function show(content) {
    const page = by("page");
    by("trial").hidden = true;
    page.hidden = false;
    page.textContent = "";
    page.className = "card";
    page.appendChild(element("h1", "", content.title));
    (content.text || []).forEach((text) => page.appendChild(element("p", "", text)));
    if (content.extra) {
      page.appendChild(content.extra);
    }
    [[content.button, content.act, "primary"], [content.second, content.secondAct, ""]].forEach(function (one) {
      if (one[0]) {
        const button = element("button", one[2], one[0]);
        button.type = "button";
        button.id = one[2] ? "go" : "other";
        button.addEventListener("click", one[1]);
        page.appendChild(button);
      }
    });
    const first = page.querySelector("button, input, select");
    app.keys.focus(first && !content.still ? first : page);
    page.scrollTop = 0; // the heading is read first
    window.scrollTo(0, 0);
  }

  /* Shows the page and waits for its button. */
  function ask(content) {
    return new Promise(function (resolve) {
      show(Object.assign({}, content, { act: () => resolve() }));
    });
  }

  function keyList(rows) {
    const list = element("dl", "keylist");
    rows.forEach(function (row) {
      const term = element("dt");
      term.appendChild(element("kbd", "", row[0]));
      list.appendChild(term);
      list.appendChild(element("dd", "", row[1]));
    });
    return list;
  }

  function instructions(trial, standing) {
    const task = app.questions.TASKS[trial.task];
    const many = standing.sessions > 1 ? "Session " + trial.session + " of " + standing.sessions + ". " : "";
    const rows = task.keys.concat(standing.ask_seen ? [["Y or N", "seen before or not"]] : [])
      .concat([["Enter", "save and go on"], ["+ \u2212 0", "larger, smaller, the whole image"], ["?", "all keys"]]);
    return ask({
      title: task.title,
      text: task.text.concat([
        many + "Take the time you need; the time of each answer is recorded. You can pause between two images, or close this "
        + "page and come back later.",
      ]),
      extra: keyList(rows),
      button: "Start",
    });
  }

  const rest = (done, total) => ask({
    title: "A good moment for a break",
    text: [
      "You have answered " + done + " of " + total + ". All of it is stored.",
      "Rest your eyes for a few minutes if you like; the next image, and its clock, come when you go on.",
    ],
    button: "Go on",
  });

  function when(iso) {
    const date = new Date(iso);
    try {
      return date.toLocaleString("en-GB", {
        weekday: "long", day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit",
      });
    } catch (error) {
      return date.toString();
    }
  }

  function distance(iso) {
    const hours = (new Date(iso) - app.http.time()) / 3600000;
    if (hours < 1) {
      return "in less than an hour";
    }
    return hours < 48 ? "in about " + Math.round(hours) + " hours" : "in about " + Math.round(hours / 24) + " days";
  }

  function washout(standing, again) {
    const next = standing.session;
    show({
      title: "This session is complete. Thank you.",
      text: [
        "You have answered " + standing.done + " of " + standing.total + ".",
        "The next session (" + next + " of " + standing.sessions + ") opens on " + when(standing.opens) + ", "
        + distance(standing.opens) + ". Until then there is nothing to do: you can close this page, and come back with the "
        + "same code or link.",
      ],
      button: "Check again",
      act: again,
      still: true,
    });
  }

  /* The page for a reader who has nothing to read now. again(): looks once more. */
  function ending(standing, again) {
    if (standing.phase === "washout") {
      washout(standing, again);
    } else if (standing.phase === "finished") {
      show({
        title: "You have finished. Thank you.",
        text: ["All " + standing.total + " answers are stored. You can close this page."], still: true,
      });
    } else if (standing.phase === "closed") {
      show({
        title: "This study is closed", text: ["No more answers are taken. Thank you for taking part."], still: true,
      });
    } else {
      show({
        title: "There is no image to show at the moment",
        text: ["Please try again in a while, or tell the person who runs the study."], button: "Try again", act: again,
      });
    }
  }

  const otherReader = (act) => ({
    title: "Another reader has logged in",
    text: [
      "In this browser somebody else has logged in since. Answers that were not sent yet are kept here, and are sent "
      + "when you log in again.",
    ],
    button: "Log in", act: act,
  });

  const otherTab = (act) => ({
    title: "Open in another tab",
    text: ["The study is open in another tab or window of this browser. Only one can be used at a time."],
    button: "Use this tab", act: act,
  });

  const notTaken = (number, why, act) => ({
    title: "An answer was not taken",
    text: [
      "Image " + number + ": " + why,
      "The answer is set aside in this browser. Please tell the person who runs the study, then go on.",
    ],
    button: "Go on", act: act,
  });

  /* The page that was there before a trial took its place. */
  function again() {
    by("trial").hidden = true;
    by("page").hidden = false;
    app.keys.focus(by("go") || by("page"));
  }

  app.pages = {
    again: again, show: show, ask: ask, instructions: instructions, rest: rest, ending: ending, otherReader: otherReader,
    otherTab: otherTab, notTaken: notTaken,
  };
})((window.readerStudy = window.readerStudy || {}));
