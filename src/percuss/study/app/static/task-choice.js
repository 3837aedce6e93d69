/* Which of two images was changed: instructions and form. Loaded when the turn of the task has come. */
(function (app) {
  "use strict";

  app.questions.TASKS.choice = {
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
  };
})((window.readerStudy = window.readerStudy || {}));
