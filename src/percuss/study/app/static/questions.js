/* What a task asks: its instructions, the parts of its form, and the answer in them. Every other task than the first has
   a script of its own, which is loaded when its turn has come: nobody reads ahead in the source of a page. */
(function (app) {
  "use strict";

  const CERTAIN = ["Not at all", "Slightly", "Moderately", "Very", "Completely"];

  const TASKS = {
    diagnosis: {
      title: "Your diagnosis",
      text: [
        "You will see one image at a time. Choose the diagnosis that fits it best, and say how confident you are.",
        "Read each image as you would in your daily work. Some images may resemble others: judge each by itself.",
      ],
      keys: [["1 to 9", "choose a diagnosis"], ["Shift + 1 to 5", "choose how confident you are"]],
      parts: (labels) => [
        { name: "label", legend: "Which diagnosis fits best?", values: labels, texts: labels, keys: "digit", wide: true },
        { name: "confidence", legend: "How confident are you?", values: [1, 2, 3, 4, 5], texts: CERTAIN, keys: "shift" },
      ],
    },
  };

  /* Waits until a task can be asked; rejected, as a cut connection is, where its script cannot be had now. */
  function ready(task) {
    return TASKS[task] ? Promise.resolve() : new Promise(function (resolve, reject) {
      const script = document.createElement("script");
      script.src = "/static/task-" + task + ".js";
      script.addEventListener("load", () => resolve());
      script.addEventListener("error", function () {
        script.parentNode.removeChild(script);
        reject({ offline: true });
      });
      document.head.appendChild(script);
    });
  }

  const SEEN = {
    name: "seen", legend: "Do you remember having seen this case before?", values: ["true", "false"],
    texts: ["Yes", "No"], keys: "yes",
  };

  /* The key that chooses the value at a place of a part, as it is printed beside it. */
  function keyOf(part, at) {
    const names = { arrow: ["\u2190", "\u2192"], letter: ["S", "D"], yes: ["Y", "N"] };
    if (part.keys === "digit") {
      return at < 9 ? String(at + 1) : "";
    }
    return part.keys === "shift" ? "\u21e7" + (at + 1) : names[part.keys][at];
  }

  function element(name, kind, text) {
    const made = document.createElement(name);
    if (kind) {
      made.className = kind;
    }
    if (text !== undefined) {
      made.textContent = text;
    }
    return made;
  }

  function option(part, at) {
    const label = element("label", "option");
    const input = element("input");
    input.type = "radio";
    input.name = part.name;
    input.value = part.values[at];
    label.appendChild(input);
    label.appendChild(element("span", "text", part.texts[at]));
    if (keyOf(part, at)) {
      const key = element("kbd", "", keyOf(part, at));
      key.setAttribute("aria-hidden", "true");
      label.appendChild(key);
    }
    return label;
  }

  function field(part) {
    const set = element("fieldset", part.values.length === 5 && !part.wide ? "scale" : "choices");
    set.appendChild(element("legend", "", part.legend));
    const list = element("div", "options");
    part.values.forEach((value, at) => list.appendChild(option(part, at)));
    set.appendChild(list);
    return set;
  }

  function partsOf(task, standing) {
    const parts = TASKS[task].parts(standing.labels || []);
    return standing.ask_seen ? parts.concat([SEEN]) : parts;
  }

  /* Fills a holder with the fields of a task. */
  function build(holder, task, standing) {
    holder.textContent = "";
    partsOf(task, standing).forEach((part) => holder.appendChild(field(part)));
  }

  function chosen(form, name) {
    const input = form.querySelector('input[name="' + name + '"]:checked');
    return input ? input.value : null;
  }

  /* The values of the form as plain text, null where nothing is chosen. */
  function draft(form, task, standing) {
    const values = { comment: form.elements.comment.value };
    partsOf(task, standing).forEach(function (part) {
      values[part.name] = chosen(form, part.name);
    });
    return values;
  }

  function choose(form, name, value) {
    Array.from(form.querySelectorAll('input[name="' + name + '"]')).forEach(function (input) {
      input.checked = value !== null && value !== undefined && input.value === String(value);
    });
  }

  function fill(form, task, standing, values) {
    partsOf(task, standing).forEach((part) => choose(form, part.name, values[part.name]));
    form.elements.comment.value = values.comment || "";
  }

  /* The answer as it is sent; {missing: legend} where something is not chosen yet. */
  function read(form, task, standing) {
    const values = draft(form, task, standing);
    const missing = partsOf(task, standing).find((part) => values[part.name] === null);
    if (missing) {
      return { missing: missing };
    }
    const answer = { task: task, comment: values.comment.trim(), seen: standing.ask_seen ? values.seen === "true" : null };
    partsOf(task, standing).forEach(function (part) {
      const value = values[part.name];
      if (part.name !== "seen") {
        answer[part.name] = part.values.find((one) => String(one) === value);
      }
    });
    return { answer: answer };
  }

  /* The field and value that a key chooses, or null. */
  function keyed(event, task, standing) {
    const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code || "");
    const letters = { s: ["letter", 0], d: ["letter", 1], y: ["yes", 0], n: ["yes", 1], ArrowLeft: ["arrow", 0], ArrowRight: ["arrow", 1] };
    const found = digit
      ? [event.shiftKey ? "shift" : "digit", Number(digit[1]) - 1]
      : (event.shiftKey ? null : letters[app.keys.said(event)]);
    if (!found) {
      return null;
    }
    const part = partsOf(task, standing).find((one) => one.keys === found[0] && found[1] < one.values.length);
    return part ? { name: part.name, value: part.values[found[1]] } : null;
  }

  app.questions = {
    TASKS: TASKS, ready: ready, build: build, fill: fill, draft: draft, read: read, choose: choose, keyed: keyed, element: element,
  };
})((window.readerStudy = window.readerStudy || {}));
