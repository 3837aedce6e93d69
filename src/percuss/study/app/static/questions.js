/* What each task asks: its instructions, the parts of its form, and the answer in them. A task tells of changed images
   only where changed images are what it is about. */
(function (app) {
  "use strict";

  const CERTAIN = ["Not at all", "Slightly", "Moderately", "Very", "Completely"];
  const CHANGED = ["Certainly not changed", "Probably not", "Undecided", "Probably changed", "Certainly changed"];

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
    manipulation: {
      title: "Was this image changed?",
      text: [
        "You will see one image at a time. Some of these images were changed by a computer program, others were not.",
        "Say how sure you are that the image in front of you was changed.",
      ],
      keys: [["1 to 5", "choose how sure you are"]],
      parts: () => [{
        name: "rating", legend: "Was this image changed by a computer program?", values: [1, 2, 3, 4, 5], texts: CHANGED,
        keys: "digit",
      }],
    },
    choice: {
      title: "Which of the two was changed?",
      text: [
        "You will see two images of one case side by side. One of the two was changed by a computer program.",
        "Say which one. Where you cannot tell, choose the one that seems likelier.",
      ],
      keys: [["\u2190 or \u2192", "choose the left or the right image"]],
      parts: () => [{
        name: "side", legend: "Which image was changed?", values: ["left", "right"], texts: ["Left", "Right"],
        keys: "arrow",
      }],
    },
    same: {
      title: "The same, or different?",
      text: [
        "You will see two images side by side. They may be exactly the same, or one may have been changed a little by a "
        + "computer program.",
        "Say whether they are the same or different.",
      ],
      keys: [["S or D", "same or different"]],
      parts: () => [{
        name: "same", legend: "Are the two images the same?", values: ["true", "false"], texts: ["Same", "Different"],
        keys: "letter",
      }],
    },
  };

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
    const key = element("kbd", "", keyOf(part, at));
    key.setAttribute("aria-hidden", "true");
    label.appendChild(key);
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
      if (part.name === "same") {
        answer.same = value === "true";
      } else if (part.name !== "seen") {
        answer[part.name] = part.name === "confidence" || part.name === "rating" ? Number(value) : value;
      }
    });
    return { answer: answer };
  }

  /* The field and value that a key chooses, or null. */
  function keyed(event, task, standing) {
    const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code || "");
    const letters = { s: ["letter", 0], d: ["letter", 1], y: ["yes", 0], n: ["yes", 1], arrowleft: ["arrow", 0], arrowright: ["arrow", 1] };
    const found = digit
      ? [event.shiftKey ? "shift" : "digit", Number(digit[1]) - 1]
      : (event.shiftKey ? null : letters[event.key.toLowerCase()]);
    if (!found) {
      return null;
    }
    const part = partsOf(task, standing).find((one) => one.keys === found[0] && found[1] < one.values.length);
    return part ? { name: part.name, value: part.values[found[1]] } : null;
  }

  app.questions = {
    TASKS: TASKS, build: build, fill: fill, draft: draft, read: read, choose: choose, keyed: keyed, element: element,
  };
})((window.readerStudy = window.readerStudy || {}));
